"""A mask whose grid contains its image's grid is cropped to it, and nothing is lost without a note."""

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.cases.mask_alignment import on_grid
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import affine, place
from tests.dataset_conversion.making import AFFINE, image, labels
from tests.dataset_conversion.oblique import oblique


def whole(matrix=AFFINE):
    return image(labels(values=(1, 2, 3)), matrix)


@pytest.mark.parametrize("code", ["LPS", "RAS", "PIR", "SRP", "IAL"])
@pytest.mark.parametrize("matrix", [AFFINE, oblique("coronal")], ids=["straight", "oblique"])
def test_a_mask_of_the_uncropped_image_is_cropped(code, matrix):
    full = whole(matrix)
    part = full[2:13, 1:11, 1:6]
    result, note = on_grid(sitk.DICOMOrient(full, code), part, "p", crop=True)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(result), sitk.GetArrayFromImage(part))
    np.testing.assert_allclose(affine(result), affine(part), atol=1e-9)
    assert note.startswith("mask cropped to the image's grid, ")
    assert note.endswith("label voxels cut off outside the image: none")


def test_label_voxels_that_are_cut_off_are_counted():
    full = whole()
    part = full[5:14, 0:7, 0:6]
    result, note = on_grid(full, part, "p", crop=True)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(result), sitk.GetArrayFromImage(part))
    # Each label has 3 x 2 x 8 voxels along z, y, x; x = 3 and 4 and all of label 3 (y = 8 and 9) go,
    # of label 2 (y = 5 and 6) none along y.
    assert note.endswith(
        "9x7x6 of 14x12x6 voxels; label voxels cut off outside the image: 12 of 48 with value 1, "
        "12 of 48 with value 2, 48 of 48 with value 3"
    )


def test_a_mask_whose_labels_are_all_outside_the_image_stops():
    full = whole()
    with pytest.raises(DatasetError, match=r"all 144 label voxels \(values 1, 2, 3\) are outside"):
        on_grid(full, full[12:14, 0:12, 0:6], "p", crop=True)


def test_an_empty_mask_is_cropped():
    empty = image(np.zeros((6, 12, 14), np.uint8))
    _, note = on_grid(empty, empty[1:9, 0:12, 0:6], "p", crop=True)
    assert note.endswith("outside the image: none")


def test_without_permission_it_is_not_cropped():
    with pytest.raises(DatasetError, match="not aligned with its image"):
        on_grid(whole(), whole()[2:13, 1:11, 1:6], "p")


@pytest.mark.parametrize("shift", [0.09, -0.09])
def test_a_tenth_of_a_voxel_is_rounding_and_half_a_voxel_is_not(shift):
    part = whole()[2:13, 1:11, 1:6]
    matrix = AFFINE.copy()
    matrix[0, 3] += shift * 0.8
    result, _ = on_grid(whole(matrix), part, "p", crop=True)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(result), sitk.GetArrayFromImage(part))
    matrix[0, 3] += 0.5 * 0.8
    with pytest.raises(DatasetError, match="not aligned with its image"):
        on_grid(whole(matrix), part, "p", crop=True)


def test_grids_that_overlap_in_part_stop_with_both():
    full = whole()
    mask, scan = full[0:10, 0:12, 0:6], full[3:14, 0:12, 0:6]
    with pytest.raises(DatasetError, match=r"it covers -3 to 6 of 0 to 10, 0 to 11 of 0 to 11, 0 to 5 of "
                                           r"0 to 5 along x, y, z: neither contains the other"):  # fmt: skip
        on_grid(mask, scan, "p", crop=True)


def test_another_spacing_is_not_cropped():
    matrix = AFFINE @ np.diag([1.05, 1.05, 1, 1])
    big = place(np.ones((8, 40, 40), np.uint8), matrix)
    with pytest.raises(DatasetError):
        on_grid(big, whole(), "p", crop=True)
