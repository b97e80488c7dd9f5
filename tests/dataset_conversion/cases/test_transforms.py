import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.cases.transforms import CentralSlice, CropWidth, Resample
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import affine, oriented, place


def volume(shape, spacing=(4.0, 0.7, 0.9), fill=None):
    array = np.arange(np.prod(shape)).reshape(shape) if fill is None else np.full(shape, fill)
    matrix = np.diag([*spacing, 1.0])
    matrix[:3, 3] = 5.0, -7.0, 11.0
    return place(array.astype(np.int16), matrix)


def world(image, *index):
    return affine(image) @ [*index, 1]


@pytest.mark.parametrize(("slices", "kept"), [(1, 0), (2, 1), (9, 4), (10, 5)])
def test_the_central_slice_counts_from_the_right(slices, kept):
    lps = volume((5, 6, slices))  # x grows to the left: slice 0 is at the right
    (image,), mask = CentralSlice()((oriented(lps, "PIR"),), oriented(lps, "PIR"))
    assert image.GetSize() == (6, 5, 1)
    array = sitk.GetArrayFromImage(lps)[:, :, kept]
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image)[0], array[::-1])
    np.testing.assert_array_equal(*map(sitk.GetArrayFromImage, (image, mask)))
    np.testing.assert_allclose(world(image, 0, 0, 0), world(lps, kept, 0, 4))
    assert image.GetSpacing() == pytest.approx((0.7, 0.9, 4.0))


def test_a_slice_with_voxels_larger_than_its_thickness_stops():
    image = oriented(volume((5, 6, 3), (6.0, 4.5, 4.5)), "PIR")
    with pytest.raises(DatasetError, match=r"voxels of 4.5 mm within the slice are not below"):
        CentralSlice()((image,), None)


@pytest.mark.parametrize(("columns", "kept"), [(880, 464), (1024, 540), (512, 270), (100, 53)])
def test_the_crop_is_proportional_and_central_if_all_columns_are_equal(columns, kept):
    (image,), _ = CropWidth(464)((volume((2, columns, 2), fill=3),), None)
    assert image.GetSize() == (2, kept, 2)
    first = (world(image, 0, 0, 0) - world(volume((2, columns, 2)), 0, 0, 0))[1] / 0.7
    assert first == pytest.approx((columns - kept) // 2, abs=1)


def test_the_crop_keeps_the_brightest_columns_and_moves_for_a_label():
    array = np.zeros((3, 100, 3), np.int16)
    array[:, 60:90] = 7
    bright = place(array, np.eye(4))
    mask = np.zeros((3, 100, 3), np.uint8)
    mask[1, 20] = 1
    for drawn, low, high in ((None, 90 - 53, 60), (place(mask, np.eye(4)), 20, 20)):
        (image,), cut = CropWidth(464)((bright,), drawn)
        first = image.GetOrigin()[1]
        assert low <= first <= high
        assert drawn is None or sitk.GetArrayFromImage(cut)[1, int(20 - first)].all()


@pytest.mark.parametrize("code", ["PIR", "LIP"])
def test_the_crop_is_from_front_to_back_in_any_orientation(code):
    array = np.zeros((3, 100, 4), np.int16)
    array[:, 60:90] = 7
    (expected,), _ = CropWidth(464)((place(array, np.eye(4)),), None)
    (image,), _ = CropWidth(464)((oriented(place(array, np.eye(4)), code),), None)
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(oriented(image)), sitk.GetArrayFromImage(expected)
    )
    assert oriented(image).GetOrigin() == expected.GetOrigin()


def test_a_narrow_image_is_not_cropped():
    image = volume((2, 6, 2))
    assert CropWidth(880)((image,), None) == ((image,), None)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_axis_of_the_longest_voxels_is_across_the_slices(axis):
    spacing = [0.5, 0.5, 0.5]
    spacing[axis] = 3.5
    image = volume((8, 8, 8), tuple(spacing))
    (result,), _ = Resample((1.0, 1.0, 7.0))((image,), None)
    assert [round(v, 6) for v in result.GetSpacing()] == [
        7.0 if a == axis else 1.0 for a in range(3)
    ]
    assert result.GetSize() == (4, 4, 4)
    # Two voxels become one: the edges stay in place, the value is the mean.
    np.testing.assert_allclose(world(result, -0.5, -0.5, -0.5), world(image, -0.5, -0.5, -0.5))
    array = sitk.GetArrayFromImage(image).astype(float)
    means = array.reshape(4, 2, 4, 2, 4, 2).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(sitk.GetArrayFromImage(result), means, atol=1e-3)


def test_two_channels_and_the_mask_share_the_new_grid():
    image, mask = volume((6, 9, 7)), volume((6, 9, 7), fill=1)
    images, drawn = Resample((1.3, 1.1, 5.0))((image, image), mask)
    assert len({str(affine(v).round(6).tolist()) for v in (*images, drawn)}) == 1
    assert sitk.GetArrayFromImage(drawn).all()
    assert (sitk.GetArrayFromImage(images[0]) > 0).all()  # no zeros at the edges
