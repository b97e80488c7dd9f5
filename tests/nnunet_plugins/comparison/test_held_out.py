"""Scores of training cases: marked, not tested, and refused by --strict; patients on both sides of a fold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nnunet_plugins import api
from nnunet_plugins.cli import main
from nnunet_plugins.comparison.compare import Comparison
from nnunet_plugins.comparison.table_formats import comparison_csv
from nnunet_plugins.comparison.tables import legend, notes_of, warnings_of
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation import evaluate
from tests.nnunet_plugins.training_logs import DONE, LOG

from .model_folders import LOG_FILE, change_debug, references, write_model

CASES = [f"case{number}" for number in range(6)]
A, B = "ATrainer__P__2d", "BTrainer__P__2d"


@pytest.fixture(autouse=True)
def without_nnunet(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("nnUNet_raw", "nnUNet_preprocessed"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Models A and B of fold 0, and references."""
    references(tmp_path / "ref", *CASES)
    for name, voxels in ((A, 5), (B, 8)):
        found = {case: voxels + number % 2 for number, case in enumerate(CASES)}
        write_model(tmp_path / name, {"0": found})
    return tmp_path


def as_fold_all(model: Path) -> Path:
    change_debug(model / "fold_0", fold="all")
    return (model / "fold_0").rename(model / "fold_all").parent


def compared(folder: Path, *runs: str, strict: bool = False) -> Comparison:
    given = [folder / run for run in runs or (A, B)]
    return api.compare(given, reference=folder / "ref", strict=strict)


def p_values(found: Comparison) -> list[float | None]:
    return [line.p for table in found.tables for line in table.lines if line.against]


def test_validation_cases_of_a_fold_are_tested(two: Path) -> None:
    found = compared(two, strict=True)
    assert warnings_of(found) == []
    assert all(p is not None for p in p_values(found))


@pytest.mark.parametrize("which", [(A,), (B,), (A, B)])
def test_fold_all_is_marked_and_not_tested(two: Path, which: tuple[str, ...]) -> None:
    for name in which:
        as_fold_all(two / name)
    found = compared(two)
    marked = [one for one in warnings_of(found) if one.startswith("NO TEST")]
    assert len(marked) == len(which)
    assert "fold_all was trained on every case, and validated on the same cases" in marked[0]
    assert p_values(found) == [None, None]
    assert found.tables[0].tests == 0
    assert "p: no test was made." in legend(found)[0]
    assert found.tables[0].lines[1].against.wins == 6  # what was found is still described
    with pytest.raises(UserError, match="NO TEST"):
        compared(two, strict=True)


def test_the_csv_names_the_training_cases(two: Path) -> None:
    as_fold_all(two / B)
    rows = comparison_csv(compared(two)).splitlines()
    assert "trained on every case" not in rows[1]
    assert "fold_all was trained on every case" in rows[2]


def test_a_renamed_fold_all_is_recognised(two: Path) -> None:
    change_debug(two / A / "fold_0", fold="all")
    (warning,) = warnings_of(compared(two))
    assert "fold_0 was trained, as fold all (debug.json), on every case" in warning


def test_a_log_that_warns_of_the_split_is_believed(two: Path) -> None:
    line = (
        "2026-01-01 00:00:00: WARNING: Some validation cases are also in the training set. Check\n"
    )
    (two / A / "fold_0" / LOG_FILE).write_text(line + LOG + DONE)
    assert "nnU-Net's log warns" in warnings_of(compared(two))[0]


def test_a_fold_that_validates_every_case_of_the_dataset_trained_on_them(two: Path) -> None:
    dataset = json.loads((two / B / "dataset.json").read_text())
    (two / B / "dataset.json").write_text(json.dumps(dataset | {"numTraining": len(CASES)}))
    assert "fold_0 was validated on all 6 training cases" in warnings_of(compared(two))[0]


def test_nnunets_splits_show_validation_cases_that_were_trained_on(
    two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = two / "pre" / "Dataset001_X" / "splits_final.json"
    splits.parent.mkdir(parents=True)
    monkeypatch.setenv("nnUNet_preprocessed", str(two / "pre"))
    splits.write_text(json.dumps([{"train": ["x", "case0"], "val": CASES}]))
    assert "1 of its 6 validation cases are in its training set" in warnings_of(compared(two))[0]
    splits.write_text(json.dumps([{"train": ["x", "case0"], "val": ["y"]}]))  # not of this training
    assert warnings_of(compared(two)) == []


def test_the_path_of_a_fold_or_its_validation_is_the_model(two: Path) -> None:
    as_fold_all(two / A)
    for path in (f"{A}/fold_all", f"{A}/fold_all/validation"):
        found = compared(two, path, f"{B}/fold_0/validation")
        assert [run.name for run in found.runs] == ["ATrainer fold_all", "BTrainer fold_0"]
        assert found.runs[0].facts["epochs"] == 2
        assert p_values(found) == [None, None]


def test_a_scores_file_keeps_that_its_cases_were_trained_on(two: Path) -> None:
    as_fold_all(two / A)
    validation = two / A / "fold_all" / "validation"
    scores = evaluate(validation, two / "ref", output=two / "a.json")
    assert scores.labels.source == "dataset.json of the model"
    assert scores.notes[0].startswith("NOT A VALIDATION: fold_all")
    evaluate(two / B / "fold_0" / "validation", two / "ref", output=two / "b.json")
    assert p_values(compared(two, "b.json", "a.json")) == [None] * 2
    content = json.loads((two / "a.json").read_text())
    content.pop("trained_on")  # as an earlier version wrote it, next to the predictions
    (validation / "scores.json").write_text(json.dumps(content))
    given = [two / "b.json", validation]
    assert p_values(api.compare(given)) == [None] * 2


def test_other_predictions_are_a_test_set(two: Path) -> None:
    """A folder of predictions of new cases, of whatever fold, is tested."""
    for name in (A, B):
        as_fold_all(two / name)
        (two / name / "fold_all" / "validation").rename(two / f"pred_{name}")
        (two / f"pred_{name}" / "dataset.json").write_text(
            (two / name / "dataset.json").read_text()
        )
    found = compared(two, f"pred_{A}", f"pred_{B}")
    assert None not in p_values(found)
    assert any("whether these cases are training cases" in note for note in notes_of(found))


def test_references_of_other_cases_need_predictions(two: Path) -> None:
    references(two / "test", "new1")
    with pytest.raises(UserError, match=r"no validation case of fold_0 is in .*; for other cases"):
        api.compare([two / A, two / B], reference=two / "test")


def test_predictions_of_the_training_cases_of_their_dataset_are_noted(two: Path) -> None:
    raw = two / "Dataset001_X" / "labelsTr"
    raw.parent.mkdir()
    (two / "ref").rename(raw)
    predictions = two / "pred"
    (two / A / "fold_0" / "validation").rename(predictions)
    assert evaluate(predictions, raw).notes == ()
    for name in ("plans.json", "dataset.json"):  # nnU-Net copies them
        (predictions / name).write_text((two / A / name).read_text())
    (note,) = evaluate(predictions, raw).notes
    assert note.startswith("the references are training cases of Dataset001_X")


def test_a_patient_on_both_sides_of_a_fold_is_noted(tmp_path: Path) -> None:
    references(tmp_path / "ref", "a1", "a2", "b1", "c1")
    folds = {"0": {"a1": 5, "b1": 6}, "1": {"a2": 7, "c1": 8}}
    for name in (A, B):
        write_model(tmp_path / name, folds)
    assert not any("PATIENTS" in note for note in compared(tmp_path).notes)
    record = {"patients": {"a1": 1, "a2": 1, "b1": 2, "c1": 3}}
    (tmp_path / "conversion.json").write_text(json.dumps(record))
    for fold in (None, [0]):
        found = api.compare([tmp_path / A, tmp_path / B], reference=tmp_path / "ref", fold=fold)
        said = [note for note in found.notes if "PATIENTS ON BOTH SIDES: 1 patient has" in note]
        assert len(said) == 2
    record["patients"]["a2"] = 3
    (tmp_path / "conversion.json").write_text(json.dumps(record))
    assert not any("PATIENTS" in note for note in compared(tmp_path).notes)


def test_patients_of_untrained_folds_are_not_mixed_up_with_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scored cases have their own numbers: c1 is of patient 1 there, as a1 is in conversion.json."""
    references(tmp_path / "ref", "a1", "b1", "c1")
    (tmp_path / "conversion.json").write_text('{"patients": {"a1": 1, "b1": 2, "c1": 3}}')
    place = tmp_path / "preprocessed" / "Dataset001_X"
    place.mkdir(parents=True)
    (place / "splits_final.json").write_text('[{"train": ["a1", "b1"], "val": ["c1"]}]')
    monkeypatch.setenv("nnUNet_preprocessed", str(tmp_path / "preprocessed"))
    for name in (A, B):
        write_model(tmp_path / name, {"0": {"c1": 8}})
    assert not any("PATIENTS" in note for note in compared(tmp_path).notes)
    (tmp_path / "conversion.json").write_text('{"patients": {"a1": 1, "b1": 2, "c1": 2}}')
    assert any("PATIENTS ON BOTH SIDES: 1 patient" in note for note in compared(tmp_path).notes)


def test_a_table_of_patients_shows_them_on_both_sides(tmp_path: Path) -> None:
    references(tmp_path / "ref", "a1", "a2")
    write_model(tmp_path / A, {"0": {"a1": 5}, "1": {"a2": 7}})
    write_model(tmp_path / B, {"0": {"a1": 5}, "1": {"a2": 7}})
    (tmp_path / "groups.csv").write_text("case,patient\na1,Anna\na2,Anna\n")
    given = [tmp_path / A, tmp_path / B]
    found = api.compare(given, reference=tmp_path / "ref", groups=tmp_path / "groups.csv")
    assert "Anna" not in "".join(found.notes)
    assert any("PATIENTS ON BOTH SIDES: 1 patient has" in note for note in found.notes)


def test_only_the_folds_of_the_common_cases_are_compared(tmp_path: Path) -> None:
    references(tmp_path / "ref", "a", "b")
    write_model(tmp_path / A, {"0": {"a": 5}, "1": {"b": 7}})
    write_model(tmp_path / B, {"3": {"a": 6}})
    given = [tmp_path / A, tmp_path / B]
    found = api.compare(given, reference=tmp_path / "ref", common=True)
    assert found.unfair == {}


def test_the_command_prints_it(two: Path, capsys: pytest.CaptureFixture) -> None:
    as_fold_all(two / A)
    runs = [str(two / A), str(two / B), "--reference", str(two / "ref"), "-j", "1"]
    assert main(["compare", *runs]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("NO TEST: ATrainer is scored on cases that it was trained on")
    assert "ATrainer !" in shown
