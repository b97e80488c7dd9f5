"""Scores against other references are not comparable, even where the volumes of the labels are equal."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_plugins.cli import main


def write(path, voxels, origin=(1.5, 2.25, -100.7), code="LPS"):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((0.7, 0.7, 3.1))
    image.SetOrigin(origin)
    sitk.WriteImage(sitk.DICOMOrient(image, code), str(path))


@pytest.fixture
def voxels():
    array = np.zeros((6, 10, 12), np.uint8)
    array[1:4, 2:6, 2:5] = 1
    array[3:5, 6:9, 7:11] = 2
    return array


def scored(folder, name, voxels, ending=".nii.gz", **how):
    for part in ("p", "r"):
        write(folder / name / part / f"case1{ending}", voxels, **how)
    out = folder / f"{name}.json"
    assert main(["evaluate", *(str(folder / name / part) for part in "pr"), "-o", str(out)]) == 0
    return out


@pytest.mark.parametrize(
    ("how", "cause"),
    [
        ("mirrored", "other voxels"),
        ("moved", "another origin"),
    ],
)
def test_other_references_are_refused(how, cause, voxels, tmp_path, capsys):
    first = scored(tmp_path, "a", voxels)
    if how == "mirrored":
        second = scored(tmp_path, "b", voxels[:, :, ::-1].copy())
    else:
        second = scored(tmp_path, "b", voxels, origin=(2.5, 2.25, -100.7))
    assert main(["compare", str(first), str(second)]) == 2
    said = capsys.readouterr().err
    assert cause in said
    assert "case1" in said


@pytest.mark.parametrize(
    ("ending", "code"), [(".nrrd", "LPS"), (".nii.gz", "RAS"), (".mha", "ASL")]
)
def test_the_same_reference_in_another_file_is_accepted(ending, code, voxels, tmp_path):
    first = scored(tmp_path, "a", voxels)
    second = scored(tmp_path, "b", voxels.astype(np.int16), ending, code=code)
    assert main(["compare", str(first), str(second)]) == 0


def test_scores_of_an_earlier_version_are_compared_with_a_note(voxels, tmp_path, capsys):
    first, second = scored(tmp_path, "a", voxels), scored(tmp_path, "b", voxels)
    content = json.loads(second.read_text())
    del content["cases"]["case1"]["reference"]
    second.write_text(json.dumps(content))
    assert main(["compare", str(first), str(second)]) == 0
    assert "do not record their references" in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"dice": 0.5}, "dice is 0.5"),
        ({"dice": None}, "dice is null"),
        ({"common_voxels": 10**6}, "impossible"),
    ],
)
def test_scores_that_contradict_their_counts_are_refused(change, cause, voxels, tmp_path, capsys):
    path = scored(tmp_path, "a", voxels)
    content = json.loads(path.read_text())
    next(iter(content["cases"]["case1"]["labels"].values())).update(change)
    path.write_text(json.dumps(content))
    assert main(["compare", str(path), str(path.with_name("a.json"))]) == 2
    said = capsys.readouterr().err
    assert cause in said
    assert "evaluate again" in said
