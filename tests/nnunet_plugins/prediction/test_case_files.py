"""Files that nnU-Net reads as something else are refused before; what is missing or surplus is named."""

from __future__ import annotations

import gzip
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from nnunet_plugins.errors import UserError
from nnunet_plugins.prediction import Model
from nnunet_plugins.prediction.bounded import Job, predict_bounded
from nnunet_plugins.prediction.case_files import check_case, check_labels
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


def test_a_header_with_nan_is_named(tmp_path):
    path = image(tmp_path / "c_0000.nii", SHAPE)
    raw = bytearray(path.read_bytes())
    raw[88:92] = np.float32(np.nan).tobytes()  # pixdim of z
    raw[254:256] = bytes(2)  # without a matrix
    path.write_bytes(raw)
    with pytest.raises(UserError, match="affine contains NaN"):
        check_case([path], rank=3, any_order=False)


def test_gipl_files_are_checked_too(tmp_path):
    files = [image(tmp_path / f"c_{n}.gipl", SHAPE, seed=n) for n in range(2)]
    check_case(files, rank=3, any_order=False)
    changed(files[1], lambda read: read[:, :, 1:])
    with pytest.raises(UserError, match="size 6x5x3 against 6x5x4"):
        check_case(files, rank=3, any_order=False)
    files[0].write_bytes(files[0].read_bytes()[:-1])
    with pytest.raises(UserError, match=r"c_0\.gipl: is truncated"):
        check_case(files[:1], rank=3, any_order=False)
    files[0].write_bytes(b"no image")
    with pytest.raises(UserError, match=r"c_0\.gipl: cannot be read"):
        check_case(files[:1], rank=3, any_order=False)


@pytest.mark.parametrize(("value", "valid"), [(2, True), (0.5, False), (-1, False), (3, False)])
def test_label_maps_of_the_previous_stage_hold_labels(tmp_path, value, valid):
    path = changed(image(tmp_path / "c.nii.gz", SHAPE), lambda read: read * 0 + value)
    if valid:
        check_labels(path, 2)
        return
    with pytest.raises(UserError, match=f"holds the value {value}; the model knows .* 0 to 2"):
        check_labels(path, 2)


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
        (["a_0000", "a_0001", "b_0000.img"], "b_0000.img: not named"),
        (["a_0000", "a_0001", "b_0000.mgz", "c.IMA"], "b_0000.mgz, c.IMA: not named"),
        (["a_0000", "a_0001", "sub/deeper/b_0000.nii.gz"], "sub/ .images.: not named"),
        ([], "no images"),
    ],
)
def test_no_file_of_the_folder_is_passed_over(tmp_path, names, said):
    channels = {"0": "T1", "1": "T2"}
    model = Model(tmp_path, ("0",), "", {"file_ending": ".nii.gz", "channel_names": channels})
    for name in names:
        path = tmp_path / (name if "." in name else f"{name}.nii.gz")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with pytest.raises(UserError, match=said):
        find_inputs(tmp_path, model, "predict")


def test_odd_names_are_cases(tmp_path):
    model = Model(tmp_path, ("0",), "", {"file_ending": ".nii.gz", "channel_names": {"0": "CT"}})
    for name in ("a b_0000", "ü.1_0000", "a_0000_0000", "._a_0000"):
        (tmp_path / f"{name}.nii.gz").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "predicted" / ".scratch").mkdir(parents=True)
    for name in ("a.nii.gz", ".scratch/a_0000.nii.gz"):
        (tmp_path / "predicted" / name).touch()
    assert list(find_inputs(tmp_path, model)) == ["a b", "a_0000", "ü.1"]
    for name in ("IM1", "predicted/IM1"):
        (tmp_path / name).write_bytes(bytes(128) + b"DICM")
    with pytest.raises(UserError, match=r"IM1, predicted/ \(images\): not named"):
        find_inputs(tmp_path, model)


def test_a_damaged_picture_concerns_its_own_case_only(tmp_path):
    channels = {str(n): f"channel {n}" for n in range(3)}
    model = Model(tmp_path, ("0",), "", {"file_ending": ".png", "channel_names": channels})
    for name, shape in (("a", (4, 5, 3)), ("grey", (4, 5))):
        Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / f"{name}_0000.png")
    (tmp_path / "damaged_0000.png").write_bytes(b"\x89PNG\r\n\x1a\nrest")
    cases = find_inputs(tmp_path, model)
    assert list(cases) == ["a", "damaged", "grey"]
    predictor = SimpleNamespace(configuration_manager=SimpleNamespace(patch_size=[8, 8]))
    for case, said in (("damaged", "cannot be read"), ("grey", "1 channels in 1 files")):
        with pytest.raises(UserError, match=said):
            predict_bounded(predictor, model, Job(tuple(cases[case]), tmp_path / "out" / case))
