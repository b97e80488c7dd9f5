"""The note on references that were corrected from proposals of a model."""

from __future__ import annotations

import json

import pytest

from nnunet_plugins.evaluation.saw_model import saw_model_notes

RECORD = {"nnunet_plugins": {"rounds": {"round": 3, "saw_model": ["a", "c"]}}}


@pytest.mark.parametrize("place", [".", "gt_segmentations", "labelsTr"])
def test_it_counts_the_scored_cases_by_the_dataset_of_the_references(tmp_path, place):
    (tmp_path / "dataset.json").write_text(json.dumps(RECORD))
    folder = tmp_path / place
    folder.mkdir(exist_ok=True)
    (note,) = saw_model_notes(folder, ["a", "b"])
    assert note.startswith("1 of 2 references were corrected from proposals of a model")
    assert "up to round 2" in note
    assert saw_model_notes(folder, ["b"]) == []
    assert saw_model_notes(folder / "a.nii.gz", ["a"]) != []


@pytest.mark.parametrize(
    "content",
    ["{", "[]", '{"nnunet_plugins": 1}', '{"nnunet_plugins": {"rounds": {"round": "x"}}}'],
)
def test_other_datasets_have_no_note(tmp_path, content):
    (tmp_path / "dataset.json").write_text(content)
    assert saw_model_notes(tmp_path, ["a"]) == []
    assert saw_model_notes(tmp_path / "elsewhere", ["a"]) == []
