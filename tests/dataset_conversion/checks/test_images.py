"""`check`: copies across folds and subsets, label maps among images, HU, missed slices, directions."""

import gzip
import json
import shutil

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.checks.dataset import check
from dataset_conversion.raw_format.channels import KNOWN
from nnunet_plugins.cli import main
from tests.dataset_conversion.making import AFFINE, ct, image, labels, nifti, write_json


def texts(folder, error=True, **how):
    return [str(f) for f in check(folder, **how).findings if f.error is error]


def packed(one, other):
    """Copy the voxels of an image to a file with other bytes."""
    other.write_bytes(gzip.compress(gzip.decompress(one.read_bytes()), 1))


def a_copy(folder, one, other, training=True):
    images = folder / "imagesTr"
    target = images if training else folder / "imagesTs"
    packed(images / f"{one}_0000.nii.gz", target / f"{other}_0000.nii.gz")


def splits(folder, *held):
    names = [f"c{number}" for number in range(5)]
    folds = [{"train": [n for n in names if n not in val], "val": list(val)} for val in held]
    write_json(folder / "splits_final.json", folds)


def test_copies_without_folds_are_errors(theirs):
    a_copy(theirs, "c1", "c3")
    assert texts(theirs) == [
        "error: c1, c3 hold the same image (equal voxels): without splits_final.json nnU-Net draws "
        "folds that may separate them; remove all but one"
    ]
    assert main(["check", str(theirs)]) == 1


def test_copies_on_both_sides_of_a_fold_are_errors(theirs):
    a_copy(theirs, "c1", "c3")
    splits(theirs, ["c0", "c1"], ["c2", "c3", "c4"])
    assert any("c1, c3 hold" in text and "both sides of fold 0" in text for text in texts(theirs))


def test_copies_on_one_side_are_a_warning(theirs):
    a_copy(theirs, "c1", "c3")
    splits(theirs, ["c0", "c2", "c4"], ["c1", "c3"])
    assert not texts(theirs)
    assert any("c1, c3 hold the same" in text for text in texts(theirs, error=False))


def test_a_training_image_among_the_test_images_is_an_error(theirs):
    a_copy(theirs, "c2", "t", training=False)
    assert any(
        "c2, t hold the same image (equal voxels): in training and in imagesTs" in text
        for text in texts(theirs, jobs=2)
    )


def test_a_copy_in_another_order_and_type_is_found(theirs):
    turned = sitk.DICOMOrient(sitk.Cast(image(ct(1)), sitk.sitkFloat32), "RAS")
    sitk.WriteImage(turned, str(theirs / "imagesTr" / "c3_0000.nii.gz"))
    sitk.WriteImage(
        sitk.DICOMOrient(image(labels()), "RAS"), str(theirs / "labelsTr" / "c3.nii.gz")
    )
    assert any("c1, c3 hold the same image" in text for text in texts(theirs))


def test_nearly_equal_images_are_a_warning(theirs):
    array = ct(1)
    array[array < -800] = -1024
    nifti(theirs / "imagesTr" / "c3_0000.nii.gz", array)
    assert not texts(theirs)
    assert any("c1, c3 hold nearly the same" in text for text in texts(theirs, error=False))


def test_copies_in_a_converted_dataset_are_found_by_the_manifest(ours):
    """The files keep their digests in the manifest, so that no image is read."""
    entry = json.loads((ours / "conversion.json").read_text())
    entry["cases"]["p3"] = {**entry["cases"]["p1"], "files": {
        name.replace("p1", "p3"): sha for name, sha in entry["cases"]["p1"]["files"].items()}}  # fmt: skip
    write_json(ours / "conversion.json", entry)
    for path in ("imagesTr/{}_0000.nii.gz", "labelsTr/{}.nii.gz"):
        shutil.copy(ours / path.format("p1"), ours / path.format("p3"))
    assert any("p1, p3 hold the same image" in text for text in texts(ours))


def test_a_label_map_in_the_place_of_an_image_is_an_error(theirs):
    nifti(theirs / "imagesTr" / "c3_0000.nii.gz", labels().astype(np.int16))
    assert texts(theirs) == [
        "error: c3: channel 0 holds its own label map; replace it with the image"
    ]
    nifti(theirs / "imagesTr" / "c3_0000.nii.gz", labels(values=(2, 1, 1)))
    assert any("c3: channel 0 holds only 3 different values (0 to 2)" in t for t in texts(theirs))
    nifti(theirs / "imagesTr" / "c3_0000.nii.gz", labels(values=(9, 20)))
    assert not texts(theirs)
    assert any("(0 to 20): is it a label map" in text for text in texts(theirs, error=False))


def test_a_channel_of_segmentations_may_be_intended(theirs):
    for number in range(5):
        nifti(theirs / "imagesTr" / f"c{number}_0001.nii.gz", labels(values=(1, 0, number + 1)))
    nifti(theirs / "imagesTs" / "t_0001.nii.gz", labels(values=(0, 7, 1)))
    entry = json.loads((theirs / "dataset.json").read_text())
    write_json(theirs / "dataset.json", {**entry, "channel_names": {"0": "CT", "1": "noNorm"}})
    assert not texts(theirs)
    assert sum("channel 1 holds at most" in text for text in texts(theirs, error=False)) == 1


@pytest.mark.parametrize(
    ("name", "seed", "message"),
    [
        ("CT", 0, ""),
        ("ct", 0, ""),
        ("noNorm", 0, ""),
        ("zscore", 0, ""),
        ("MRI", 0, "channel 0 of c0, c1, c2, c3, c4 and 1 more: the values are those of CT (HU)"),
        ("CT_bone", 0, "the channel name 'CT_bone' for z-scores"),
        ("CT", 1024, "channel 0 of c0, c1, c2, c3, c4 and 1 more: no value below 0 in a channel"),
        ("T2", 1024, ""),
    ],
)
def test_a_channel_name_that_does_not_fit_its_values_is_a_warning(theirs, name, seed, message):
    for number, path in enumerate(sorted(theirs.glob("images*/*.nii.gz"))):
        nifti(path, ct(number) + np.int16(seed))
    entry = json.loads((theirs / "dataset.json").read_text())
    write_json(theirs / "dataset.json", {**entry, "channel_names": {"0": name}})
    found = texts(theirs, error=False)
    assert any(message in text for text in found) if message else not found
    assert not texts(theirs)


def test_the_known_channel_names_are_those_of_nnunet():
    mapping = pytest.importorskip(
        "nnunetv2.preprocessing.normalization.map_channel_name_to_normalization"
    )
    assert frozenset(mapping.channel_name_to_normalization_mapping) == KNOWN


def test_missed_slices_are_a_warning(theirs):
    mask = labels()
    mask[3] = 0
    mask[0:2] = mask[2]
    mask[5] = mask[2]
    nifti(theirs / "labelsTr" / "c2.nii.gz", mask)
    found = texts(theirs, error=False)
    assert [text[:40] for text in found] == ["warning: c2: no label in 1 of the 6 slic"]


def restored(folder, name, matrix, seed):
    nifti(folder / "imagesTr" / f"{name}_0000.nii.gz", ct(seed), matrix)
    nifti(folder / "labelsTr" / f"{name}.nii.gz", labels(), matrix)


def test_slices_along_different_axes_are_a_warning(theirs):
    coronal = AFFINE.copy()
    coronal[:3, :3] = np.diag([0.8, 2.5, 0.9])
    restored(theirs, "c3", coronal, 3)
    found = texts(theirs, error=False)
    assert len(found) == 1
    assert "slices run along different body axes (axial in 5 cases, coronal in 1)" in found[0]


def test_slices_along_one_axis_of_the_array_share_a_grid(theirs):
    coronal = AFFINE.copy()
    coronal[:3, :3] = np.array([[0.8, 0, 0], [0, 0, 2.5], [0, -0.9, 0]])
    restored(theirs, "c3", coronal, 3)
    found = texts(theirs, error=False)
    assert [text[:28] for text in found] == ["warning: orientations differ"]


def test_in_plane_spacings_far_apart_are_a_warning(theirs):
    restored(theirs, "c3", AFFINE @ np.diag([10, 10, 10, 1]), 3)
    assert any("in-plane spacing differs 10 times" in text for text in texts(theirs, error=False))


def test_images_that_share_slices_are_an_error_where_they_are_separated(theirs):
    nifti(theirs / "imagesTs" / "t_0000.nii.gz", ct(2)[1:])
    assert texts(theirs) == [
        "error: c2, t hold images of which 5 slices are equal: in training and in imagesTs; remove one"
    ]
    nifti(theirs / "imagesTs" / "t_0000.nii.gz", ct(9))
    nifti(theirs / "imagesTr" / "c3_0000.nii.gz", ct(1)[:, :, 1:])
    nifti(theirs / "labelsTr" / "c3.nii.gz", labels()[:, :, 1:])
    splits(theirs, ["c1", "c3"], ["c0", "c2", "c4"])
    assert texts(theirs) == []
    splits(theirs, ["c0", "c1"], ["c2", "c3", "c4"])
    assert "on both sides of fold 0; remove one" in texts(theirs)[0]


def two_channels(folder, second):
    """Add a second channel to every case; `second` returns its array for the number of a case."""
    for number, path in enumerate(sorted(folder.glob("images*/*_0000.nii.gz"))):
        nifti(path.with_name(path.name.replace("_0000", "_0001")), second(number))
    entry = json.loads((folder / "dataset.json").read_text())
    write_json(folder / "dataset.json", {**entry, "channel_names": {"0": "CT", "1": "CT"}})


@pytest.mark.parametrize(
    "second",
    [
        lambda number: ct(77),
        lambda number: labels() if number % 2 else ct(number + 50),
        lambda number: ct(number + 50) * (number > 2),
    ],
    ids=["atlas", "segmentation", "empty"],
)
def test_a_channel_that_is_equal_on_purpose_does_not_count_as_a_copy(theirs, second):
    two_channels(theirs, second)
    assert not [text for text in texts(theirs) if "hold the same" in text]


def test_a_copy_in_one_of_two_channels_is_an_error(theirs):
    two_channels(theirs, lambda number: ct(50 + number // 2))
    assert "c0, c1 hold the same image" in texts(theirs)[0]


def test_the_same_image_in_both_channels_is_a_warning(theirs):
    two_channels(theirs, lambda number: ct(number + 50))
    shutil.copy(theirs / "imagesTr/c1_0000.nii.gz", theirs / "imagesTr/c1_0001.nii.gz")
    found = texts(theirs, error=False)
    assert "warning: c1: channels 0 and 1 hold the same image; replace all but one" in found


def test_an_image_of_one_value_is_an_error(theirs):
    nifti(theirs / "imagesTr" / "c3_0000.nii.gz", np.full(ct().shape, -1000, np.int16))
    assert "c3: channel 0 holds only 1 different values (-1000)" in texts(theirs)[0]
