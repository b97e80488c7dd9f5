"""Files that nnU-Net reads as something else are refused before; what is missing or surplus is named."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_plugins.errors import UserError
from nnunet_plugins.prediction import Model
from nnunet_plugins.prediction.case_files import check_case
from nnunet_plugins.prediction.inputs import find_inputs

from .models import image

SHAPE = (4, 5, 6)


def changed(path, change):
    """The image of a path, changed and written again."""
    sitk.WriteImage(change(sitk.ReadImage(str(path))), str(path))
    return path


def shifted(read):
    read.SetOrigin([one + 1 for one in read.GetOrigin()])
    return read


def colours(read):
    return sitk.Compose([sitk.Cast(read, sitk.sitkUInt8)] * 3)


def nan(read):
    array = sitk.GetArrayFromImage(read)
    array[1, 1, 1] = np.nan
    found = sitk.GetImageFromArray(array)
    found.CopyInformation(read)
    return found


def test_channels_and_the_previous_stage_on_one_grid_pass(tmp_path):
    files = [image(tmp_path / f"c_{n}.nii.gz", SHAPE, seed=n) for n in range(3)]
    check_case(files, rank=3, any_order=False)
    changed(files[1], lambda read: sitk.DICOMOrient(read, "RAS"))
    check_case(files, rank=3, any_order=True)
    with pytest.raises(UserError, match="orientation RAS against LPS"):
        check_case(files, rank=3, any_order=False)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (nan, "1 voxels are NaN or inf"),
        (colours, "3 values per voxel"),
        (shifted, "is on another grid than c_0.nii.gz"),
        (lambda read: read[:, :, 1:], "size 6x5x3 against 6x5x4"),
        (lambda read: sitk.JoinSeries([read, read]), "2 volumes|4D"),
        (lambda read: read[:, :, 0], "is a 2D image, and the model is a 3D one"),
    ],
    ids=["nan", "colours", "shifted", "cut", "4D", "2D"],
)
def test_what_nnunet_takes_for_something_else_is_refused(tmp_path, change, said):
    files = [image(tmp_path / f"c_{n}.nii.gz", SHAPE, seed=n) for n in range(2)]
    changed(files[1], change)
    with pytest.raises(UserError, match=said):
        check_case(files, rank=3, any_order=True)


def test_a_truncated_file_is_refused(tmp_path):
    path = image(tmp_path / "c_0000.nii.gz", SHAPE)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-100]))
    with pytest.raises(UserError, match="truncated"):
        check_case([path], rank=3, any_order=False)


def test_a_flat_image_fits_a_2d_model(tmp_path):
    path = changed(image(tmp_path / "c_0000.nii.gz", SHAPE), lambda read: read[:, :, 0])
    check_case([path], rank=2, any_order=False)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a_0000", "a_0001", "b_0001"], "missing: b_0000.nii.gz"),
        (["a_0000", "a_0001", "b_0000"], "missing: b_0001.nii.gz"),
        (["a_0000", "a_0001", "a_0002"], "a: more channels than the 2 of the model .T1, T2"),
        (["a_0000", "a_0001", "b"], "b.nii.gz: not named as nnU-Net requires"),
        (["a_0000", "a_0001", "b_0000.nii"], "b_0000.nii: not named as nnU-Net requires"),
        ([], "no images"),
    ],
)
def test_no_file_of_the_folder_is_passed_over(tmp_path, names, said):
    channels = {"0": "T1", "1": "T2"}
    model = Model(tmp_path, ("0",), "", {"file_ending": ".nii.gz", "channel_names": channels})
    for name in names:
        (tmp_path / (name if name.endswith(".nii") else f"{name}.nii.gz")).touch()
    with pytest.raises(UserError, match=said):
        find_inputs(tmp_path, model, "predict")


def test_odd_names_are_cases(tmp_path):
    model = Model(tmp_path, ("0",), "", {"file_ending": ".nii.gz", "channel_names": {"0": "CT"}})
    for name in ("a b_0000", "ü.1_0000", "a_0000_0000", "._a_0000"):
        (tmp_path / f"{name}.nii.gz").touch()
    (tmp_path / "notes.txt").touch()
    assert list(find_inputs(tmp_path, model)) == ["a b", "a_0000", "ü.1"]
