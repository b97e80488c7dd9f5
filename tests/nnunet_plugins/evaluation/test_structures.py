"""Predictions of one file per structure give the scores of the label map that they form."""

import re
import shutil

import numpy as np
import pytest

from nnunet_plugins.cli import main
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation import evaluate

LABELS = {"background": 0, "L5": 1, "sacrum": 2, "left hip": 3, "right hip": 4}
STRUCTURES = {"vertebrae_L5": 1, "sacrum": 2, "hip_left": 3, "hip_right": 4, "spleen": None}


def label_map(seed):
    """(6, 20, 20): four bars, moved by the seed."""
    found = np.zeros((6, 20, 20), dtype=np.uint8)
    for value in range(1, 5):
        found[1:5, 4 * value - 2 + seed : 4 * value + 1, 3:17] = value
    return found


@pytest.fixture
def folders(tmp_path, save, declare):
    """Two cases: references, predicted label maps, and the same predictions with a file per structure."""
    declare(tmp_path / "r", LABELS)
    for number, case in enumerate(("a", "b")):
        save(tmp_path / "r" / f"{case}.nii.gz", label_map(0))
        save(tmp_path / "maps" / f"{case}.nii.gz", label_map(number))
        for name, value in STRUCTURES.items():
            mask = (
                (label_map(number) == value)
                if value
                else np.pad([[[1]]], [(0, 5), (0, 19), (0, 19)])
            )
            save(tmp_path / "files" / case / f"{name}.nii.gz", mask)
    return tmp_path


def scores(*arguments, **options):
    return evaluate(*arguments, **options).to_dict() | {"notes": []}


@pytest.mark.parametrize("within", ["", "segmentations"])
def test_scores_are_those_of_the_label_map(folders, within):
    expected = scores(folders / "maps", folders / "r")
    assert expected["cases"]["b"]["labels"]["L5"]["dice"] == pytest.approx(2 * 2 / (2 + 3))
    for case in ("a", "b") if within else ():
        files = list((folders / "files" / case).iterdir())
        (folders / "files" / case / within).mkdir()
        for file in files:
            file.rename(file.parent / within / file.name)
    found = evaluate(folders / "files", folders / "r", jobs=2)
    assert found.to_dict() | {"notes": []} == expected
    assert found.notes == (
        "files of the predictions: hip_left = left hip, hip_right = right hip, sacrum = sacrum, vertebrae_L5 = L5; "
        "all others count as background",
    )
    for tool in ("totalsegmentator", "totalspineseg"):
        assert scores(folders / "files", folders / "r", map=tool) == expected


def test_a_single_case(folders):
    files = (folders / "files" / "b", folders / "r" / "b.nii.gz")
    found = scores(*files, dataset_json=folders / "r" / "dataset.json")
    assert found["cases"]["b"] == scores(folders / "maps", folders / "r")["cases"]["b"]


def test_a_folder_without_the_case_is_not_taken_for_structures(folders):
    with pytest.raises(UserError, match=r"1 of 1 references in .* have no prediction in"):
        evaluate(folders / "maps", shutil.copy(folders / "r" / "a.nii.gz", folders / "c.nii.gz"))


def test_names_can_be_mapped_and_labels_left_out(folders, capsys):
    for case in ("a", "b"):
        folder = folders / "files" / case
        (folder / "vertebrae_L5.nii.gz").rename(folder / "L6.nii.gz")
    left_out = evaluate(folders / "files", folders / "r")
    assert list(left_out.labels.values) == ["sacrum", "left hip", "right hip"]
    assert "left out: nothing is mapped to L5" in left_out.notes
    command = ["evaluate", str(folders / "files"), str(folders / "r"), "--map", "L6=L5"]
    assert main(command) == 0
    assert "L6 = L5" in capsys.readouterr().out
    mapped = scores(folders / "files", folders / "r", map={"L6": "L5"})
    assert mapped == scores(folders / "maps", folders / "r")
    with pytest.raises(
        UserError, match=r"--map L7=\.\.\.: no file of this name .*; there are L6, hip_left"
    ):
        evaluate(folders / "files", folders / "r", map=["L7=L5"])


def test_a_missing_file_is_noted(folders):
    (folders / "files" / "b" / "sacrum.nii.gz").unlink()
    found = evaluate(folders / "files", folders / "r")
    assert "some cases have no file of sacrum, which counts as not predicted there" in found.notes
    assert [case.labels["sacrum"].state for case in found.cases] == ["both present", "missed"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda mask: mask * 3 + (np.arange(20) > 9) * mask, "sacrum.nii.gz: holds several values"),
        (lambda mask: mask[:, 1:], "sacrum.nii.gz: another size than the other files"),
        (lambda mask: mask | (label_map(1) == 1), r"shares voxels with sacrum"),
    ],
)
def test_files_that_form_no_label_map(folders, save, change, message):
    mask = (label_map(1) == 2).astype(np.uint8)
    save(folders / "files" / "b" / "sacrum.nii.gz", change(mask))
    with pytest.raises(UserError, match=message):
        evaluate(folders / "files", folders / "r")


def test_labels_must_have_names(folders):
    (folders / "r" / "dataset.json").unlink()
    with pytest.raises(UserError, match=r"one file per structure need the names .* -djfile"):
        evaluate(folders / "files", folders / "r")
    for case in ("a", "b"):
        for name in STRUCTURES:
            if name != "spleen":
                (folders / "files" / case / f"{name}.nii.gz").unlink()
    (folders / "r" / "dataset.json").write_text('{"labels": {"background": 0, "L5": 1}}')
    message = re.escape("spleen: none of its structures is a label of the reference; labels are L5")
    with pytest.raises(UserError, match=message):
        evaluate(folders / "files", folders / "r")
