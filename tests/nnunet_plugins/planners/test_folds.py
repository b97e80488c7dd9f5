"""The fold that `plan` advises to train first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nnunet_plugins.planners.folds import advised_fold


@pytest.fixture
def dataset(tmp_path: Path) -> tuple[Path, Path]:
    """Its folders in nnUNet_preprocessed and nnUNet_raw, with 12 cases."""
    preprocessed, raw = tmp_path / "preprocessed", tmp_path / "raw"
    preprocessed.mkdir()
    raw.mkdir()
    (preprocessed / "dataset.json").write_text('{"numTraining": 12}')
    return preprocessed, raw


def test_folds_of_the_dataset_need_no_note(dataset: tuple[Path, Path]) -> None:
    (dataset[0] / "splits_final.json").write_text("[]")
    assert advised_fold(*dataset) == ("0", "")


def test_nnunet_makes_folds_of_five_cases_or_more(dataset: tuple[Path, Path]) -> None:
    fold, note = advised_fold(*dataset)
    assert fold == "0"
    assert "there is no splits_final.json: nnU-Net makes 5 folds of the cases at random" in note
    (dataset[0] / "dataset.json").write_text('{"numTraining": 5}')
    assert advised_fold(*dataset)[0] == "0"


def test_fewer_cases_have_only_fold_all(dataset: tuple[Path, Path]) -> None:
    (dataset[0] / "dataset.json").write_text('{"numTraining": 4}')
    fold, note = advised_fold(*dataset)
    assert fold == "all"
    assert "fewer cases (4): fold all trains on every case, and its validation is on the" in note


def test_patients_with_several_cases_need_folds_by_patient(dataset: tuple[Path, Path]) -> None:
    patients = {"a": 1, "b": 1, "c": 2}
    (dataset[1] / "conversion.json").write_text(json.dumps({"patients": patients}))
    assert "some patients have several cases" in advised_fold(*dataset)[1]
    patients["b"] = 3
    (dataset[1] / "conversion.json").write_text(json.dumps({"patients": patients}))
    assert "several cases" not in advised_fold(*dataset)[1]
