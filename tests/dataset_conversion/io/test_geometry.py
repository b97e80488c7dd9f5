import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.cases.mask_alignment import on_grid
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import affine, oriented, orthonormal
from tests.dataset_conversion.making import AFFINE, image, labels


def oblique(degrees: float = 20.0) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[1, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1.0]]) @ AFFINE


def moved(by: tuple[float, float, float]) -> np.ndarray:
    matrix = AFFINE.copy()
    matrix[:3, 3] += by
    return matrix


@pytest.mark.parametrize("code", ["RAS", "LAS", "PIR", "SRP", "IAL"])
@pytest.mark.parametrize("matrix", [AFFINE, oblique()], ids=["straight", "oblique"])
def test_a_mask_in_any_axis_order_is_placed_on_the_same_voxels(code, matrix):
    stored = sitk.DICOMOrient(image(labels(), matrix), code)
    placed, note = on_grid(stored, image(labels(), matrix), "p")
    assert (
        note
        == f"mask copied voxel by voxel to the image's grid: its axes run {code}, the image's LPS"
    )
    np.testing.assert_array_equal(sitk.GetArrayFromImage(placed), labels())
    np.testing.assert_allclose(affine(placed), matrix)


def test_a_cropped_mask_is_put_back_where_it_was_cut():
    whole = image(labels())
    placed, note = on_grid(whole[2:12, 1:9, 1:6], whole, "p")
    assert note.endswith(": it covers 10x8x5 voxels of 14x12x6")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(placed), labels())


def test_lps_keeps_every_voxel_at_its_point_and_obliqueness():
    stored = sitk.DICOMOrient(image(labels(), oblique()), "PIR")
    turned = oriented(stored)
    np.testing.assert_allclose(affine(turned), oblique(), atol=1e-9)
    for index in [(3, 2, 2), (10, 6, 4), (0, 0, 0)]:
        point = turned.TransformIndexToPhysicalPoint(index)
        assert turned[index] == stored[stored.TransformPhysicalPointToIndex(point)]


@pytest.mark.parametrize(
    ("by", "resample", "message"),
    [
        ((3, 0, 4), False, r"5\.0 mm apart \(3 x 0 x 4 mm"),
        ((0, 0, 5), False, r"5\.0 mm apart"),  # whole voxels
        ((0.5, 0, 0), True, r"0\.5 mm apart"),  # never resampled away
    ],
)
def test_a_shift_stops_with_the_offset(by, resample, message):
    with pytest.raises(DatasetError, match=message):
        on_grid(image(labels(), moved(by)), image(labels()), "p", resample=resample)


def test_a_tenth_of_a_voxel_is_rounding():
    placed, note = on_grid(image(labels(), moved((0.06, 0, 0))), image(labels()), "p")
    assert note is None
    np.testing.assert_array_equal(sitk.GetArrayFromImage(placed), labels())


def test_one_percent_of_spacing_with_the_same_size_stops():
    matrix = AFFINE @ np.diag([1.01, 1.01, 1.01, 1])
    big = np.zeros((40, 60, 60), np.uint8)
    with pytest.raises(DatasetError, match=r"spacing 0\.808 x 0\.909 x 2\.525 against"):
        on_grid(image(big, matrix), image(big), "p")


def test_a_finer_mask_inside_the_image_is_resampled_with_a_note():
    fine = np.kron(labels(), np.ones((2, 2, 2), np.uint8))
    matrix = AFFINE @ np.diag([0.5, 0.5, 0.5, 1])
    matrix[:3, 3] = (AFFINE @ [-0.25, -0.25, -0.25, 1])[:3]
    with pytest.raises(DatasetError, match=r"p: the mask is on another grid.*--resample-mask"):
        on_grid(image(fine, matrix), image(labels()), "p")
    placed, note = on_grid(image(fine, matrix), image(labels()), "p", resample=True)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(placed), labels())
    assert note is not None
    assert "resampled (nearest) from 0.4 x 0.45 x 1.25 mm" in note


def test_resampling_that_loses_a_label_stops():
    fine = np.zeros((12, 24, 28), np.uint8)
    fine[4, 5, 6] = 3  # one voxel of an eighth of the image's
    matrix = AFFINE @ np.diag([0.5, 0.5, 0.5, 1])
    with pytest.raises(DatasetError, match=r"label 3: 0 -> \d+ mm3|label 3: 0 -> 0 mm3|changes by"):
        on_grid(image(fine, matrix), image(labels()), "p", resample=True)


def test_a_larger_field_of_view_stops():
    large = image(np.zeros((9, 14, 16), np.uint8), moved((-3, -3, -3)) @ np.diag([1.1, 1, 1, 1]))
    with pytest.raises(DatasetError, match="not aligned with its image"):
        on_grid(large, image(labels()), "p")


def test_small_shear_is_straightened_and_large_shear_stops():
    little, much = AFFINE.copy(), AFFINE.copy()
    little[0, 1], much[0, 1] = 5e-4, 0.05
    straight, note = orthonormal(little, "f")
    direction = straight[:3, :3] / np.linalg.norm(straight[:3, :3], axis=0)
    np.testing.assert_allclose(direction.T @ direction, np.eye(3), atol=1e-12)
    assert note is not None
    assert "straightened" in note
    assert orthonormal(AFFINE, "f")[1] is None
    with pytest.raises(DatasetError, match="f: its axes are sheared"):
        orthonormal(much, "f")


@pytest.mark.parametrize("stored", ["LPS", "RAS", "PIR", "SRP", "IAL"])
@pytest.mark.parametrize("code", ["LPS", "RAS", "PIL", "SAR"])
def test_axes_are_reordered_like_itk(stored, code):
    start = sitk.DICOMOrient(image(labels(values=(1, 2, 3)), oblique()), stored)
    ours, theirs = oriented(start, code), sitk.DICOMOrient(start, code)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(ours), sitk.GetArrayFromImage(theirs))
    np.testing.assert_allclose(affine(ours), affine(theirs), atol=1e-9)
