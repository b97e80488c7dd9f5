"""What a report states about the cases of its scores: training cases, zips, unfinished folds."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from dataset_conversion.io.atomic_files import digest
from nnunet_plugins.cli import main
from nnunet_plugins.comparison.runs import Options
from nnunet_plugins.reports import report
from nnunet_plugins.reports.report import PageOptions, page
from nnunet_plugins.reports.sources import Source, read_source


@pytest.fixture(autouse=True)
def without_viewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "find_niivue", lambda: None)


def words(source: Source) -> str:
    """The text of the page without pictures."""
    text = page(source, PageOptions(worst=0))
    return re.sub(r"\s+", " ", re.sub(r"<svg.*?</svg>|<[^>]+>", " ", text, flags=re.DOTALL))


def only_fold(model: Path, name: str) -> Path:
    """The model with its first fold alone, under another name."""
    shutil.rmtree(model / "fold_1")
    (model / "fold_0").rename(model / f"fold_{name}")
    return model


def labels_of(root: Path) -> Path:
    return root / "nnUNet_raw" / "Dataset001_X" / "labelsTr"


def test_folds_are_an_internal_validation(model: Path) -> None:
    text = words(read_source(model, Options()))
    assert "the validation cases of the folds, 3 in total" in text
    assert "On training cases" not in text


def test_how_the_folds_were_drawn_is_that_of_the_conversion(
    root: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("nnUNet_preprocessed", str(root / "nnUNet_preprocessed"))
    used = root / "nnUNet_preprocessed" / model.parent.name / "splits_final.json"
    used.parent.mkdir(parents=True)
    used.write_text(
        json.dumps([{"train": ["case2"], "val": ["case0", "case1"]}, {"train": ["case0", "case1"], "val": ["case2"]}])
    )  # fmt: skip
    record = {
        "splits": {"split": "2-fold", "test": "", "seed": 3},
        "files": {used.name: digest(used)},
        "patients": {"case0": 1, "case1": 1, "case2": 2},
    }
    (labels_of(root).parent / "conversion.json").write_text(json.dumps(record))
    text = words(read_source(model, Options()))
    assert "Drawn by patient when the dataset was converted: split 2-fold, seed 3" in text
    assert "3 cases of 2 patients scored" in text
    assert "CLAIM 2024, items that files can answer: 14 of 14 recorded" in text
    used.write_text(used.read_text() + " ")  # edited after the conversion
    assert "How the folds were drawn is not recorded" in words(read_source(model, Options()))


def test_fold_all_is_not_an_internal_validation(model: Path) -> None:
    source = read_source(only_fold(model, "all"), Options())
    text = words(source)
    why = "fold_all was trained on every case, and validated on the same cases"
    assert f"NOT A VALIDATION: {why}" in text
    assert "On training cases: 2 cases" in text
    assert f"Evaluation on internal data none: {why}" in text
    assert f"assigned to partitions none for these scores: {why}" in text
    assert "random patches of the validation cases, which are training cases here;" in text
    assert "on training cases: mean foreground Dice" in text


def test_the_command_prints_what_the_page_states(
    root: Path, model: Path, capsys: pytest.CaptureFixture
) -> None:
    fold = only_fold(model, "all") / "fold_all" / "validation"
    given = [str(fold), "--reference", str(labels_of(root)), "--worst", "0", "-j", "1"]
    assert main(["report", *given, "-o", str(root / "page.html")]) == 0
    assert "note: NOT A VALIDATION: fold_all was trained" in capsys.readouterr().out


@pytest.mark.parametrize("with_summary", [True, False])
def test_predictions_of_training_cases_of_the_model_are_marked(
    root: Path, model: Path, with_summary: bool
) -> None:
    predictions = root / "pred"
    shutil.copytree(model / "fold_1" / "validation", predictions)  # case2
    options = Options(reference=labels_of(root), folds=["0"])
    for number, voxels in ((0, 40), (1, 40)) if with_summary else ():
        entries = [
            {"prediction_file": f"/x/case{case}.nii.gz", "metrics": {
                str(label): {"TP": size, "FP": 0, "FN": 0, "TN": 2000} for label, size in ((1, voxels), (2, 20))
            }}
            for case in ((0, 1), (2,))[number]
        ]  # fmt: skip
        file = model / f"fold_{number}" / "validation" / "summary.json"
        file.write_text(json.dumps({"metric_per_case": entries}))
    source = read_source(predictions, _chill(root, options, "case2"), model=model)
    if with_summary:
        assert "1 of 1 cases are training cases of the model: case2" in source.scores.trained_on
    else:
        assert source.scores.trained_on == ""
        assert "1 of 1 cases have names of training cases" in source.scores.notes[0]


def _chill(root: Path, options: Options, *cases: str) -> Options:
    """The options with references of these cases only."""
    from dataclasses import replace

    folder = root / "some"
    folder.mkdir(exist_ok=True)
    for case in cases:
        shutil.copy(labels_of(root) / f"{case}.nii.gz", folder)
    return replace(options, reference=folder)


def test_validation_cases_of_the_fold_that_predicted_are_a_validation(
    root: Path, model: Path
) -> None:
    predictions = root / "pred"
    shutil.copytree(model / "fold_1" / "validation", predictions)
    options = _chill(root, Options(folds=["1"]), "case2")
    scores = read_source(predictions, options, model=model).scores
    assert (scores.trained_on, scores.notes) == ("", ())


def test_an_unfinished_fold_is_left_out(model: Path) -> None:
    shutil.rmtree(model / "fold_1" / "validation")
    source = read_source(model, Options())
    assert any("fold_1 is not finished" in note for note in source.notes)
    assert list(source.cases) == ["case0", "case1"]
    assert list(source.logs) == ["fold_0"]
