"""The course of the rounds: folds, what is exported, what comes back, the curve; interrupted anywhere."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.checks.dataset import check
from dataset_conversion.datasets.nnunet_raw import convert
from nnunet_plugins.cli import main
from nnunet_plugins.errors import UserError
from nnunet_plugins.rounds import training
from nnunet_plugins.rounds.curve import status_text
from nnunet_plugins.rounds.dataset import write_dataset
from nnunet_plugins.rounds.folder import Rounds
from nnunet_plugins.rounds.folds import folds_of
from nnunet_plugins.rounds.ingest import ingest
from nnunet_plugins.rounds.next_round import next_round
from nnunet_plugins.rounds.proposals import entropy, read_proposals
from tests.nnunet_plugins.rounds.making import (
    Commands,
    begun,
    box,
    own,
    return_all,
    save,
    write_source,
)


def test_each_case_is_proposed_by_a_model_that_was_not_trained_on_it(
    tmp_path, monkeypatch, commands
):
    rounds = begun(tmp_path, monkeypatch)
    next_round(rounds.folder)
    assert commands.ran == ["plan", "train_0", "train_1", "predict"]
    splits = json.loads((rounds.raw / "splits_final.json").read_text())
    proposals = read_proposals(rounds, 1)
    for case, one in proposals.items():
        if one.model == "all folds":
            assert all(case not in fold["train"] for fold in splits)
        else:
            assert case not in splits[int(one.model.removeprefix("fold "))]["train"]
    assert sorted(case for case, one in proposals.items() if one.model == "all folds") == ["e", "f"]
    assert folds_of(rounds, 1)["a"] == folds_of(rounds, 1)["b"]  # one patient


def test_a_case_without_reference_is_not_proposed_by_a_model_that_knows_its_patient(
    tmp_path, monkeypatch, commands
):
    labels = tmp_path / "labels.txt"
    labels.write_text("a\nc\nd\n")  # b is of the patient of a
    rounds = begun(tmp_path, monkeypatch, labels=str(labels))
    next_round(rounds.folder)
    fold = folds_of(rounds, 1)["a"]
    proposals = read_proposals(rounds, 1)
    assert proposals["b"].model == proposals["a"].model == f"fold {fold}"
    assert {case for case, one in proposals.items() if one.model == "all folds"} == {"e", "f"}
    assert sorted(commands.ran[-2:]) == ["predict", f"predict_{fold}"]
    one, every = sorted(commands.lines[-2:], key=len)
    assert one[one.index("-f") + 1 :][:2] == [str(fold), "-p"]
    assert every[every.index("-f") + 1 :][:3] == ["0", "1", "-p"]
    assert set(rounds.export(1)["cases"]) == set("abcdef")


def test_a_patient_keeps_its_fold_in_later_rounds(tmp_path, monkeypatch, commands):
    rounds = begun(tmp_path, monkeypatch, fine_tune=True)
    next_round(rounds.folder)
    before = folds_of(rounds, 1)
    return_all(rounds, 1, tmp_path / "back", confirmed=["f"])
    next_round(rounds.folder)
    after = folds_of(rounds, 2)
    assert before.items() <= after.items()
    assert set(after) == {"a", "b", "c", "d", "e", "f"}
    first, second = (line for line in commands.lines if "-pretrained_weights" in line)
    for fold, line in enumerate((first, second)):
        weights = Path(line[line.index("-pretrained_weights") + 1])
        assert weights.parts[-6].startswith("nnUNet_results") or f"fold_{fold}" in weights.parts
        assert "round_01" in weights.parts
    assert commands.ran[4:] == [
        "preprocess",
        "train_0",
        "train_1",
    ]  # no case is left without a reference


def test_cases_of_the_anchoring_subset_come_first_empty_and_once(tmp_path, monkeypatch, commands):
    rounds = begun(tmp_path, monkeypatch, blind=2, batch=2)
    blind = [case for case, one in rounds.settings.cases.items() if one.blind]
    next_round(rounds.folder)
    cases = rounds.export(1)["cases"]
    assert sorted(list(cases)[: len(blind)]) == sorted(blind)
    assert len(cases) == len(blind) + 2
    for case in cases:
        mask = sitk.GetArrayFromImage(
            sitk.ReadImage(str(rounds.readers(1) / "masks" / f"{case}.nii.gz"))
        )
        assert mask.any() != (case in blind)
        assert cases[case]["shown"] == (case not in blind)
    return_all(rounds, 1, tmp_path / "back")
    next_round(rounds.folder)
    assert not set(rounds.export(2)["cases"]) & set(blind)
    assert not any(rounds.references(2)[case].saw_model for case in blind)


def test_cases_without_a_predicted_foreground_come_last(tmp_path, monkeypatch, commands):
    rounds = begun(tmp_path, monkeypatch)
    next_round(rounds.folder)
    assert [*rounds.export(1)["cases"]][-1] == "f"  # its proposal is empty


def test_without_references_the_first_round_is_drawn_by_hand(tmp_path, monkeypatch, commands):
    rounds = begun(tmp_path, monkeypatch, labels="none")
    next_round(rounds.folder)
    assert commands.ran == []
    assert not any(one["shown"] for one in rounds.export(1)["cases"].values())
    return_all(rounds, 1, tmp_path / "back")
    assert not any(one.saw_model for one in rounds.references(2).values())
    next_round(rounds.folder)
    assert commands.ran == ["plan", "train_0", "train_1"]


def test_the_dataset_states_which_references_saw_the_model(tmp_path, monkeypatch, commands):
    from nnunet_plugins.evaluation import evaluate

    rounds = begun(tmp_path, monkeypatch, blind=1)
    next_round(rounds.folder)
    return_all(rounds, 1, tmp_path / "back", confirmed=["f"])
    shown = sorted(case for case, one in rounds.export(1)["cases"].items() if one["shown"])
    for name, place in (
        ("dataset.json", ("nnunet_plugins", "rounds")),
        ("conversion.json", ("rounds",)),
    ):
        content = json.loads((rounds.raw / name).read_text())
        for key in place:
            content = content[key]
        assert content["saw_model"] == shown
    scores = evaluate(
        rounds.raw / "labelsTr", rounds.raw / "labelsTr", output=tmp_path / "scores.json"
    )
    assert f"{len(shown)} of 6 references were corrected from proposals of a model" in " ".join(
        scores.notes
    )
    assert not [str(one) for one in check(rounds.raw).findings if "conversion" in str(one)]


def test_a_finished_round_is_not_made_again(tmp_path, monkeypatch, commands):
    rounds = begun(tmp_path, monkeypatch)
    next_round(rounds.folder)
    ran = list(commands.ran)
    assert next_round(rounds.folder)[1] == 1
    assert commands.ran == ran
    save(rounds, 1, tmp_path / "back", {"a": box()})
    ingest(rounds.folder, tmp_path / "back", "R1")
    with pytest.raises(
        UserError, match=r"round 1: not returned: b, c, d, e, f; ingest them.*--partial"
    ):
        next_round(rounds.folder)
    assert next_round(rounds.folder, partial=True)[1] == 2


def tree(folder: Path) -> dict[str, bytes]:
    """All files but logs, dates, locks and preprocessed.json's folder times."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock" and "checkpoint" not in path.name
    }


class Killed(BaseException):
    """Ends a process at once."""


class Moment:
    """Ends a call before a file or folder is moved into place."""

    def __init__(self, monkeypatch):
        self.left = -1
        for name in ("rename", "replace"):
            monkeypatch.setattr(os, name, self._after(getattr(os, name)))

    def _after(self, real):
        def move(*arguments, **options):
            self.pass_by()
            return real(*arguments, **options)

        return move

    def pass_by(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Killed

    def spares(self, number: int, call) -> bool:
        """Whether the call ends before the moment of this number comes."""
        self.left = number
        try:
            call()
        except Killed:
            return False
        finally:
            self.left = -1
        return True


def test_interrupted_anywhere_and_run_again_it_ends_in_the_same_files(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "run_logged", Commands())
    rounds = begun(tmp_path, monkeypatch, labelled=3, unlabelled=1)
    kept = tmp_path / "kept"
    shutil.copytree(rounds.folder, kept)
    next_round(rounds.folder)
    whole = tree(rounds.folder)

    moment = Moment(monkeypatch)
    monkeypatch.setattr(training, "run_logged", Commands(moment.pass_by))
    for number in range(1, 100):
        shutil.rmtree(rounds.folder)
        shutil.copytree(kept, rounds.folder)
        if moment.spares(number, lambda: next_round(rounds.folder)):
            break
        next_round(rounds.folder)
        assert tree(rounds.folder) == whole, number
    assert number > 20


def test_an_interrupted_ingest_takes_all_masks_or_none(tmp_path, monkeypatch, commands):
    rounds = begun(tmp_path, monkeypatch)
    next_round(rounds.folder)
    kept = tmp_path / "kept"
    shutil.copytree(rounds.folder, kept)
    back = save(rounds, 1, tmp_path / "back", {"a": box(), "c": box(at=4)})
    moment = Moment(monkeypatch)
    for number in range(1, 100):
        shutil.rmtree(rounds.folder)
        shutil.copytree(kept, rounds.folder)
        if moment.spares(number, lambda: ingest(rounds.folder, back, "R1")):
            break
        assert set(rounds.returned(1)) in (set(), {"a", "c"})
        ingest(rounds.folder, back, "R1")
        ((folder, record),) = rounds.ingests(1)
        assert set(record["cases"]) == {"a", "c"}
        assert len([*folder.glob("masks/*")]) == 2
        assert (rounds.raw / "labelsTr" / "a.nii.gz").read_bytes() == rounds.references(2)[
            "a"
        ].file.read_bytes()
    assert number > 4


def test_a_changed_image_stops_the_rounds(tmp_path, monkeypatch, commands):
    rounds = begun(tmp_path, monkeypatch)
    rounds.image("c").write_bytes(b"other")
    with pytest.raises(
        UserError, match=r"c_0000.nii.gz: is missing or has changed since rounds init"
    ):
        write_dataset(rounds, 1)
    assert not rounds.raw.exists()


def test_an_image_that_changes_between_the_rounds_is_found_before_anything_is_taken(
    tmp_path, monkeypatch, commands
):
    rounds = begun(tmp_path, monkeypatch)
    next_round(rounds.folder)
    image = rounds.image("c").read_bytes()
    rounds.image("c").unlink()
    rounds.image("c").write_bytes(rounds.image("d").read_bytes())
    back = save(rounds, 1, tmp_path / "back", own("abdef"))
    with pytest.raises(UserError, match=r"c_0000.nii.gz: is missing or has changed"):
        ingest(rounds.folder, back, "R1", confirmed=["f"])
    assert not rounds.returned(1)
    rounds.image("c").write_bytes(image)
    ingest(rounds.folder, back, "R1", confirmed=["f"])
    rounds.image("c").write_bytes(rounds.image("d").read_bytes())
    with pytest.raises(UserError, match=r"c_0000.nii.gz: is missing or has changed"):
        next_round(rounds.folder, partial=True)
    assert rounds.current == 1


def edited(file: Path, change) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("name", "change", "match"),
    [
        ("rounds.json", lambda one: one["cases"].pop("a"), "has a, which rounds.json does not have"),
        ("rounds.json", lambda one: one.update(folds=2.5), "--folds 2.5: expected an integer"),
        ("round_01/for_readers/record.json", lambda one: one.pop("cases"), "record.json: is damaged"),
        ("round_01/for_readers/record.json", lambda one: one["cases"]["a"].update(shown="no"), "is damaged"),
        ("round_01/ingests/001_R1/record.json", lambda one: one["cases"]["a"].update(minutes="1"), "is damaged"),
        ("round_01/proposals/proposals.json", lambda one: one["a"].pop("dice"), "proposals.json: is damaged"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_named(tmp_path, monkeypatch, commands, name, change, match):
    rounds = begun(tmp_path, monkeypatch)
    next_round(rounds.folder)
    ingest(rounds.folder, save(rounds, 1, tmp_path / "back", {"a": box()}), "R1")
    edited(rounds.folder / name, change)
    with pytest.raises(UserError, match=match):
        status_text(Rounds.read(rounds.folder))


def test_entropy_is_one_where_the_classes_are_equal_and_zero_where_one_is_certain():
    softmax = np.array([[1 / 3, 1.0, 0.5], [1 / 3, 0.0, 0.5], [1 / 3, 0.0, 0.0]])
    np.testing.assert_allclose(entropy(softmax), [1, 0, np.log(2) / np.log(3)], atol=1e-12)
    sigmoids = np.array([[0.5, 1.0], [0.5, 1.0]])[:, :2]
    np.testing.assert_allclose(entropy(np.array([[0.5, 1.0], [0.9, 1.0]]))[1], 0, atol=1e-12)
    np.testing.assert_allclose(entropy(sigmoids[:1]), [1, 0], atol=1e-12)


def test_convert_raw_keeps_the_mark(tmp_path, monkeypatch, commands):
    rounds = begun(tmp_path, monkeypatch)
    next_round(rounds.folder)
    save(rounds, 1, tmp_path / "back", {"a": box()})
    ingest(rounds.folder, tmp_path / "back", "R1")
    mark = json.loads((rounds.raw / "dataset.json").read_text())["nnunet_plugins"]["rounds"]
    assert mark["saw_model"] == ["a"]
    convert(rounds.raw, tmp_path / "other", 701)
    (file,) = (tmp_path / "other").glob("Dataset701_*/dataset.json")
    assert json.loads(file.read_text())["nnunet_plugins"]["rounds"] == mark


def test_the_commands_print_what_comes_next(tmp_path, monkeypatch, commands, capsys):
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "nnUNet_raw"))
    write_source(tmp_path / "nnUNet_raw")
    folder = str(tmp_path / "rounds")
    init = [
        "rounds",
        "init",
        folder,
        "--dataset",
        "700",
        "--folds",
        "2",
        "--to",
        "nii.gz",
        "-device",
        "cpu",
    ]
    assert main([*init, "--plan=--preset foo"]) == 2
    assert "--preset foo: allowed: cpu" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*init, "--plan=--epochs many"])
    assert "argument --epochs: invalid int value: 'many'" in capsys.readouterr().err
    assert main([*init, "--anchoring-subset", "1"]) == 0
    assert "cases    6 of 5 patients" in capsys.readouterr().out
    assert main(["rounds", "next", folder]) == 0
    assert "round    1: 6 cases" in capsys.readouterr().out
    rounds = Rounds.read(tmp_path / "rounds")
    save(rounds, 1, tmp_path / "back", {"a": box(), "c": box(at=4)})
    assert main(["rounds", "ingest", folder, str(tmp_path / "back"), "--reader", "R1"]) == 0
    assert "round    1: 4 cases still out" in capsys.readouterr().out
    assert main(["rounds", "ingest", folder, str(tmp_path / "back"), "--reader", "R1"]) == 0
    assert "2 masks taken back before" in capsys.readouterr().out
    assert main(["rounds", "status", folder]) == 0
    assert (tmp_path / "rounds" / "curve.png").is_file()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"order": "best"}, "--order best: allowed: random, uncertain"),
        ({"folds": 1}, "--folds 1: expected an integer from 2 to 100000"),
        ({"seed": -1}, "--seed -1: expected an integer from 0"),
        ({"configuration": "4d"}, "-c 4d: allowed: 2d, 3d_fullres, 3d_lowres"),
        ({"stop_dice": 1.5}, "--stop-dice 1.5: expected a number above 0, at most 1"),
        ({"blind": 5}, "--anchoring-subset 5: allowed are 0 to 4, as there are 5 patients"),
        ({"labels": "missing.txt"}, "--labels missing.txt: allowed: all, none, or a text file"),
        ({"network": "Unknown"}, "Unknown"),
    ],
)
def test_choices_are_checked(tmp_path, monkeypatch, options, match):
    with pytest.raises(UserError, match=match):
        begun(tmp_path, monkeypatch, **options)
    assert not (tmp_path / "rounds" / "rounds.json").exists()


def test_patients_of_the_test_set_stay_out(tmp_path, monkeypatch):
    source = write_source(tmp_path / "nnUNet_raw")
    (source / "labelsTs").mkdir()
    shutil.copyfile(source / "labelsTr" / "a.nii.gz", source / "labelsTs" / "f.nii.gz")
    manifest = json.loads((source / "conversion.json").read_text())
    manifest["patients"]["e"] = manifest["patients"]["f"]
    (source / "conversion.json").write_text(json.dumps(manifest))
    assert set(begun(tmp_path, monkeypatch).settings.cases) == {"a", "b", "c", "d"}


def test_without_known_patients_there_are_no_rounds(tmp_path, monkeypatch):
    (write_source(tmp_path / "nnUNet_raw") / "conversion.json").unlink()
    with pytest.raises(UserError, match=r"the patients are not known.*--groups FILE.csv"):
        begun(tmp_path, monkeypatch)
