"""Each volume with its slice axis first: sides, positions and obliqueness are kept."""

import itertools

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import affine, orientation, place
from dataset_conversion.io.orientation import (
    SLICES_FIRST,
    left_right_axes,
    oriented_to,
    slice_axis,
    stored_code,
)
from tests.dataset_conversion.oblique import PLANES, SIZE, SPACING, oblique

CODES = ["LPS", "RAS", "PIR", "SRP", "IAL", "LIP", "ASR"]
STORED = {"axial": "LPS", "coronal": "LIP", "sagittal": "PIR"}


def stack(plane, *angles):
    values = np.arange(np.prod(SIZE), dtype=np.int32).reshape(SIZE[::-1])
    return place(values, oblique(plane, *angles))


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("plane", PLANES)
def test_z_is_across_the_slices_however_the_volume_was_stored(plane, code):
    stored = sitk.DICOMOrient(stack(plane), code)
    assert slice_axis(stored.GetSpacing(), stored.GetDirection()) == plane
    turned = oriented_to(stored, SLICES_FIRST)
    assert orientation(turned) == STORED[plane]
    np.testing.assert_allclose(turned.GetSpacing(), SPACING)
    assert turned.GetSize() == SIZE


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("plane", PLANES)
def test_every_voxel_stays_at_its_point(plane, code):
    stored = sitk.DICOMOrient(stack(plane), code)
    turned = oriented_to(stored, SLICES_FIRST)
    ends = [(0, n // 2, n - 1) for n in turned.GetSize()]
    for index in itertools.product(*ends):
        point = turned.TransformIndexToPhysicalPoint(index)
        assert turned[index] == stored[stored.TransformPhysicalPointToIndex(point)]
    assert np.linalg.det(affine(turned)[:3, :3]) > 0  # as far as nnU-Net sees, never mirrored


@pytest.mark.parametrize("plane", PLANES)
def test_the_tilt_is_kept(plane):
    start = stack(plane, (0.3, 0.0, 0.0))
    turned = oriented_to(start, SLICES_FIRST)
    ours, theirs = affine(turned)[:3, 2], affine(start)[:3, 2]
    np.testing.assert_allclose(np.abs(ours @ theirs), SPACING[2] ** 2)


def test_coronal_slices_that_follow_a_steep_sacrum_keep_their_order():
    # Beyond 45 degrees the plane is called axial; the stored directions must not jump.
    flat, steep = (oriented_to(stack("coronal", (a, 0.0, 0.0)), SLICES_FIRST) for a in (0.77, 0.80))
    assert (orientation(flat), orientation(steep)) == ("LIP", "LPS")
    cosines = [np.reshape(one.GetDirection(), (3, 3)) for one in (flat, steep)]
    np.testing.assert_allclose(np.sum(cosines[0] * cosines[1], axis=0), 1, atol=1e-3)


def test_without_a_slice_axis_the_volume_is_stored_as_lps():
    cube = sitk.DICOMOrient(sitk.Image(4, 5, 6, sitk.sitkInt16), "PIR")
    cube.SetSpacing((1.0, 1.0, 1.1))
    assert orientation(oriented_to(cube, SLICES_FIRST)) == "LPS"


def test_a_code_is_reached_as_before():
    assert orientation(oriented_to(stack("coronal"), "RAS")) == "RAS"


@pytest.mark.parametrize("code", ["", "LP", "LRS", "lps", "slices_first", "LPSS"])
def test_other_codes_stop(code):
    with pytest.raises(
        DatasetError, match=f"orientation '{code}': allowed are slices-first, and three"
    ):
        oriented_to(stack("axial"), code)


def test_the_manifest_s_rounded_spacing_gives_the_same_code():
    spacing = (0.8999999, 1.08, 0.9)
    for mm in (spacing, [round(v, 5) for v in spacing]):
        assert stored_code(mm, "LPS", SLICES_FIRST) == "LPS"


@pytest.mark.parametrize(
    ("codes", "axes"), [(["LPS"], (2,)), (["PIR"], (0,)), (["LIP", "LPS"], (2,)),
                        (["LIP", "PIR", "LPS"], (0, 2)), (["SRP"], (1,))],
)  # fmt: skip
def test_the_left_right_axis_is_that_of_the_array(codes, axes):
    assert left_right_axes(codes) == axes
