"""What a model folder records or not: zips, unfinished folds, folds that differ, fine-tuning, case ids, regions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from nnunet_plugins import api
from nnunet_plugins.comparison.runs import Options, load
from nnunet_plugins.comparison.tables import notes_of, sheets_of, warnings_of
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.overlap import Counts
from nnunet_plugins.model_facts import facts_of_model
from nnunet_plugins.model_folder import read_model
from tests.nnunet_plugins.training_logs import DONE, LOG

from .model_folders import (
    LOG_FILE,
    change_debug,
    references,
    write_model,
    write_summary,
    zipped,
)

COUNTS = Counts(8, 1, 2, 277)


@pytest.fixture(autouse=True)
def without_nnunet(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("nnUNet_raw", "nnUNet_preprocessed"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    references(tmp_path / "ref", "a", "b")
    return write_model(tmp_path / "ATrainer__P__2d", {"0": {"a": 8}, "1": {"b": 6}})


def facts(model: Path) -> dict[str, Any]:
    return facts_of_model(read_model(model))


def compared(model: Path, other: Path, **options: Any) -> Any:
    return api.compare([f"one={model}", f"other={other}"], **options)


@pytest.fixture
def zip_of(model: Path) -> Path:
    """The model as it is after nnU-Net's export and import, with the summaries of both."""
    for case, fold in (("a", 0), ("b", 1)):
        write_summary(model / f"fold_{fold}", {case: {"1": COUNTS}})
    shutil.copytree(model, model.parent / "zip" / model.name)
    return zipped(model.parent / "zip" / model.name)


@pytest.mark.parametrize("with_references", [False, True])
def test_a_zip_of_a_model_is_compared_fairly(
    model: Path, zip_of: Path, with_references: bool
) -> None:
    options = {"reference": model.parent / "ref"} if with_references else {}
    found = compared(model, zip_of, strict=True, **options)
    assert warnings_of(found) == []
    assert [table.metric for table in found.tables] == ["dice"]
    notes = "\n".join(notes_of(found))
    assert "did not finish" not in notes
    assert "no training log in fold_0, fold_1 (nnU-Net's zip" in notes
    hours = next(row for row in sheets_of(found)[-1].rows if row[0] == "hours")
    assert hours[1:] == ("0.01", "not recorded")
    why = "the label maps of the validation are not in fold_0, fold_1"
    assert (why in notes) == with_references


def test_the_end_of_a_training_is_known_from_log_or_checkpoint(model: Path) -> None:
    fold = model / "fold_1"
    assert facts(model)["finished"] is True
    (fold / LOG_FILE).unlink()
    assert facts(model)["finished"] is True  # nnU-Net writes checkpoint_final.pth at the end
    (fold / "checkpoint_final.pth").unlink()
    assert "finished" not in facts(model)
    (fold / "checkpoint_latest.pth").touch()
    assert facts(model)["finished"] is False
    (fold / LOG_FILE).write_text(LOG)
    assert facts(model)["finished"] is False


def test_the_log_of_a_validation_is_not_an_unfinished_training(model: Path) -> None:
    for fold in model.glob("fold_*"):
        (fold / LOG_FILE).write_text("2026-01-01 00:00:00: predicting a\n")
    assert facts(model)["finished"] is True
    assert "training_hours" not in facts(model)


def test_hours_of_some_folds_are_not_those_of_all(model: Path) -> None:
    assert facts(model)["training_hours"] == pytest.approx(44 / 3600)
    (model / "fold_1" / LOG_FILE).unlink()
    assert "training_hours" not in facts(model)


def test_an_unfinished_fold_is_left_out_with_a_note(model: Path) -> None:
    shutil.rmtree(model / "fold_1" / "validation")
    options = Options(reference=model.parent / "ref")
    (run,) = load([str(model)], options)
    assert [case.name for case in run.scores.cases] == ["a"]
    assert run.notes[0].startswith("fold_1 is not finished (no predictions of validation cases)")
    assert run.facts["splits"] == {"fold_0": ["a"]}
    with pytest.raises(UserError, match=r"fold_1 is not finished: .*; pass --fold 0"):
        load([str(model)], Options(reference=options.reference, folds=["1"]))
    shutil.rmtree(model / "fold_0" / "validation")
    with pytest.raises(
        UserError, match=r"fold_0 and fold_1 are not finished: .*finish the training"
    ):
        load([str(model)], options)


def test_a_validation_that_is_not_complete_is_noted(model: Path) -> None:
    split = "2026-01-01 00:00:00: This split has 14 training and 6 validation cases.\n"
    (model / "fold_0" / LOG_FILE).write_text(split + LOG + DONE)
    (run,) = load([str(model)], Options(reference=model.parent / "ref"))
    assert "fold_0: 1 of its 6 validation cases are scored" in run.notes


def test_folds_that_were_trained_differently_are_named(model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / model.name
    shutil.copytree(model, other)
    change_debug(model / "fold_1", num_epochs="1000")
    assert facts(model)["epochs"] == "2 (fold_0), 1000 (fold_1)"
    found = compared(other, model, reference=tmp_path / "ref")
    assert any("the folds were not trained alike: epochs 2 (fold_0)" in one for one in found.notes)
    assert "epochs 2 (fold_0), 1000 (fold_1) against 2" in warnings_of(found)[0]
    assert ("epochs", "2", "2 (fold_0), 1000 (fold_1)") in sheets_of(found)[-1].rows


def test_a_fold_has_the_plans_that_it_was_trained_with(model: Path) -> None:
    """plans.json is that of the last training; debug.json is that of the fold's own."""
    plans = json.loads((model / "plans.json").read_text())["configurations"]["2d"]
    for fold in model.glob("fold_*"):
        change_debug(fold, configuration_manager=str(plans | {"patch_size": [8, 24]}))
    assert facts(model)["patch_size"] == [8, 24]


def test_another_number_of_training_cases_is_unfair(model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / model.name
    shutil.copytree(model, other)
    for folder, count in ((model, 19), (other, 4)):
        for fold in folder.glob("fold_*"):
            split = f": This split has {count} training and 1 validation cases.\n"
            (fold / LOG_FILE).write_text(split + LOG + DONE)
    (warning,) = warnings_of(compared(model, other, reference=tmp_path / "ref"))
    assert "training cases 4 x 4 against 19 x 19 (other training data)" in warning


def test_a_dataset_of_the_same_name_with_other_cases_is_unfair(model: Path, tmp_path: Path) -> None:
    other = write_model(tmp_path / "b" / model.name, {"0": {"a": 8}, "1": {"b": 6}}, cases=30)
    (warning,) = warnings_of(compared(model, other, reference=tmp_path / "ref"))
    assert "dataset cases 30 against 20 (other training data)" in warning


def test_a_fine_tuning_against_a_training_from_scratch_is_unfair(
    model: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other" / model.name
    shutil.copytree(model, other)
    both = {"reference": tmp_path / "ref"}
    assert "initial weights" in notes_of(compared(model, other, **both))[-1]  # not recorded
    for folder, weights in ((model, "random"), (other, "pretrained")):
        for fold in folder.glob("fold_*"):
            change_debug(fold, initial_weights=weights)
    (warning,) = warnings_of(compared(model, other, **both))
    assert warning.endswith(
        "initial weights pretrained against random (one training is a fine-tuning)"
    )


def test_plans_of_another_dataset_are_noted(model: Path, tmp_path: Path) -> None:
    key = "foreground_intensity_properties_per_channel"
    plans = json.loads((model / "plans.json").read_text()) | {key: {"0": {"mean": 1.0}}}
    (model / "plans.json").write_text(json.dumps(plans))
    fingerprint = model / "dataset_fingerprint.json"
    options = Options(reference=tmp_path / "ref")
    for mean, noted in ((1.0, False), (2.0, True)):
        fingerprint.write_text(json.dumps({key: {"0": {"mean": mean}}}))
        (run,) = load([str(model)], options)
        assert any("plans were made for another dataset" in one for one in run.notes) == noted


def test_the_best_checkpoint_is_selected_on_the_validation(model: Path, tmp_path: Path) -> None:
    line = "2026-01-01 00:00:24: weights loaded from checkpoint_best.pth\n"
    (model / "fold_0" / LOG_FILE).write_text(line + LOG + DONE)
    (run,) = load([str(model)], Options(reference=tmp_path / "ref"))
    assert not any("checkpoint_best" in note for note in run.notes)  # before the training
    for fold in model.glob("fold_*"):
        (fold / LOG_FILE).write_text(LOG + DONE + line)
    (run,) = load([str(model)], Options(reference=tmp_path / "ref"))
    assert any(
        note.startswith("fold_0, fold_1: validated with checkpoint_best") for note in run.notes
    )


def test_ids_with_dots_are_different_cases(model: Path) -> None:
    write_summary(model / "fold_0", {"1.2.840.3": {"1": COUNTS}, "1.2.840.4": {"1": COUNTS}})
    write_summary(model / "fold_1", {"1.2.840.5": {"1": COUNTS}})
    (run,) = load([str(zipped(model))], Options())
    assert [case.name for case in run.scores.cases] == ["1.2.840.3", "1.2.840.4", "1.2.840.5"]
    assert run.facts["splits"]["fold_0"] == ["1.2.840.3", "1.2.840.4"]


@pytest.mark.parametrize(
    ("value", "key"), [([1], "(1,)"), (1, "1"), ([2, 1], "(1, 2)"), ([1, 2], "(2, 1)")]
)
def test_regions_are_found_by_their_values(tmp_path: Path, value: Any, key: str) -> None:
    labels = {"background": 0, "whole": value}
    model = write_model(tmp_path / "T__P__2d", {"0": {}}, labels=labels)
    write_summary(model / "fold_0", {"a": {key: COUNTS}})
    (run,) = load([str(model)], Options())
    assert run.scores.cases[0].labels["whole"].dice == pytest.approx(16 / 19)


def test_a_summary_without_a_label_is_an_error(model: Path) -> None:
    for case, fold in (("a", 0), ("b", 1)):
        write_summary(model / f"fold_{fold}", {case: {"2": COUNTS}})
    with pytest.raises(UserError, match=r"a has no scores of sacrum = \[1\]; pass --reference"):
        load([str(zipped(model))], Options())
