"""A mask whose header was lost takes its image's grid only on request, and only if the sizes agree."""

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.cases.mask_alignment import on_grid
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import affine, place
from dataset_conversion.io.mask_header import header_lost
from dataset_conversion.io.volumes import header_of
from tests.dataset_conversion.making import AFFINE, image, labels

RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # what nibabel writes for numpy.eye(4)


def placed(mask, scan=None, **how):
    return on_grid(mask, scan if scan is not None else image(labels()), "p", **how)


@pytest.mark.parametrize("matrix", [np.eye(4), RAS, np.diag([-0.8, -0.9, 2.5, 1])],
                         ids=["ITK", "nibabel", "spacing kept"])  # fmt: skip
def test_the_voxels_go_to_the_image_s_grid_in_their_order(matrix):
    mask = place(labels(), matrix)
    with pytest.raises(DatasetError, match=r"not aligned.*or pass --ignore-mask-header if"):
        placed(mask)
    result, note = placed(mask, ignore_header=True)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(result), labels())
    np.testing.assert_allclose(affine(result), AFFINE)
    assert "--ignore-mask-header: mask of" in note
    assert "may be flipped: compare left and right in preview.png" in note


def test_a_header_that_places_the_mask_is_used():
    stored = sitk.DICOMOrient(image(labels()), "RAI")
    result, note = placed(stored, ignore_header=True)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(result), labels())
    assert "its axes run RAI" in note


def test_a_lost_header_is_never_resampled():
    # 1 mm voxels at the origin, well inside an image of larger voxels and of the same size.
    matrix = np.diag([4.0, 4.0, 4.0, 1.0])
    matrix[:3, 3] = -10
    with pytest.raises(DatasetError, match="not aligned with its image"):
        placed(place(labels(), np.eye(4)), image(labels(), matrix), resample=True)


@pytest.mark.parametrize(
    ("mask", "why"),
    [
        (place(labels()[:5], RAS), "size differs from the image: 14 x 12 x 5 against 14 x 12 x 6"),
        (place(labels().transpose(2, 1, 0), RAS), "axes are in another order: 6 x 12 x 14 against"),
        (place(labels(), RAS @ np.diag([2.5, 0.9, 0.8, 1])), "spacing runs in another order"),
        (place(labels(), np.eye(4)[[2, 1, 0, 3]]), "states axes SPL against the image's LPS"),
        (place(labels(), np.diag([-0.8, 0.9, 2.5, 1])), "states axes RPS against the image's LPS"),
    ],
    ids=["size", "reversed", "spacing", "axes", "one flip"],
)
def test_doubt_about_the_order_of_axes_stops(mask, why):
    with pytest.raises(DatasetError, match=f"p: --ignore-mask-header cannot be applied: .*{why}"):
        placed(mask, ignore_header=True)


def test_a_size_that_reads_the_same_in_reverse_stops():
    cube = np.ones((8, 5, 8), np.uint8)
    with pytest.raises(DatasetError, match="8 x 5 x 8 is the same with the axes reversed"):
        placed(place(cube, RAS), image(cube), ignore_header=True)


def test_square_slices_are_accepted():
    square = np.zeros((5, 9, 9), np.uint8)
    square[2, 3, 4] = 1
    result, _ = placed(place(square, RAS), image(square), ignore_header=True)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(result), square)


def test_a_lost_header_is_one_of_a_bare_array():
    assert header_lost(header_of(place(labels(), RAS)))
    assert not header_lost(header_of(image(labels())))
    assert not header_lost(header_of(place(labels(), np.diag([1.0, 1.0, 2.0, 1.0]))))


def test_a_position_of_its_own_on_the_image_is_not_called_lost():
    matrix = AFFINE.copy()
    matrix[2, 3] += 1.25  # half a slice: drawn on another pass over the same region
    with pytest.raises(DatasetError, match=r"or choose the series that it was drawn on$"):
        placed(place(labels(), matrix))
    _, note = placed(place(labels(), matrix), ignore_header=True)
    assert "1.2 mm away from its image" in note
