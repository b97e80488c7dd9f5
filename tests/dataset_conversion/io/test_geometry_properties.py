"""Any orthonormal direction, spacing and origin: every labelled voxel stays where it is in the body."""

import itertools
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dataset_conversion.cases.case import Output, Sample
from dataset_conversion.cases.mask_alignment import on_grid
from dataset_conversion.cases.preprocess import prepare
from dataset_conversion.dicom.series import find_series, read_series
from dataset_conversion.io.geometry import affine, orientation, oriented, place
from dataset_conversion.io.nifti_writer import write_image
from dataset_conversion.io.orientation import SLICES_FIRST, oriented_to, slice_axis
from dataset_conversion.io.volumes import read_image
from dataset_conversion.labels import Labels
from dataset_conversion.phantoms.dicom import write_series

NAMES = Labels({"a": 1, "b": 2, "c": 3})
CODES = ["".join(p) for letters in itertools.product("LR", "PA", "SI")
         for p in itertools.permutations(letters)]  # fmt: skip
ANY = settings(max_examples=100, deadline=None, derandomize=True, database=None)
FEW = settings(ANY, max_examples=40)


def turn(axis: int, angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    a, b = [i for i in range(3) if i != axis]
    matrix = np.eye(3)
    matrix[a, a], matrix[a, b], matrix[b, a], matrix[b, b] = c, -s, s, c
    return matrix


@st.composite
def grids(draw, mirrored=True):
    """A 4 x 4 affine (mm, LPS): turned about all axes, of either hand, anywhere."""
    angles = [round(draw(st.floats(-np.pi, np.pi)), 6) for _ in range(3)]
    direction = turn(2, angles[0]) @ turn(1, angles[1]) @ turn(0, angles[2])
    if mirrored and draw(st.booleans()):
        direction[:, draw(st.integers(0, 2))] *= -1
    matrix = np.eye(4)
    matrix[:3, :3] = direction * [draw(st.floats(0.2, 8)) for _ in range(3)]
    matrix[:3, 3] = [draw(st.floats(-1500, 1500)) for _ in range(3)]
    return matrix


@st.composite
def shapes(draw):
    return tuple(draw(st.integers(3, 7)) for _ in range(3))


def blobs(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Labels 0 to 3 (z, y, x), no two neighbours bound to be alike."""
    return np.random.default_rng(seed).integers(0, 4, shape).astype(np.uint8)


def assert_every_voxel_is_where_it_was(before: sitk.Image, after: sitk.Image) -> None:
    """Every voxel of `before` with a label is within half a voxel of one of `after` with the same label."""
    old, new = sitk.GetArrayViewFromImage(before), sitk.GetArrayViewFromImage(after)
    found = np.argwhere(old > 0)
    points = affine(before) @ np.c_[found[:, ::-1], np.ones(len(found))].T
    index = (np.linalg.inv(affine(after)) @ points)[:3]
    nearest = np.rint(index).astype(int)
    assert (np.abs(index - nearest) <= 0.5).all()
    off = affine(after) @ np.r_[nearest, np.ones((1, nearest.shape[1]))] - points
    # Half a voxel is the promise; without resampling it is rounding of a float32 header.
    assert np.linalg.norm(off[:3], axis=0).max(initial=0) <= 2e-3
    x, y, z = nearest
    np.testing.assert_array_equal(new[z, y, x], old[old > 0])
    assert (new > 0).sum() == (old > 0).sum()


@ANY
@given(grids(), shapes(), st.sampled_from(CODES), st.sampled_from(CODES), st.integers(0, 99))
def test_a_mask_in_another_axis_order_stays_in_place(matrix, shape, stored, written, seed):
    image = place(np.full(shape, 100, np.int16), matrix)
    mask = sitk.DICOMOrient(place(blobs(shape, seed), matrix), stored)
    output = Output(orientation=written, allow_empty=True)
    ready = prepare(Sample((image,), mask), NAMES, output, "p")
    assert_every_voxel_is_where_it_was(mask, ready.mask)
    np.testing.assert_allclose(affine(ready.mask), affine(ready.images[0]))


@ANY
@given(grids(), shapes(), st.integers(0, 99))
def test_a_written_volume_is_read_at_the_same_position(matrix, shape, seed):
    made = oriented(place(blobs(shape, seed), matrix))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "v.nii.gz"
        write_image(made, path, Path(folder))
        for read in (sitk.ReadImage(str(path)), read_image(path)[0]):
            assert_every_voxel_is_where_it_was(made, read)
            assert read.GetSize() == made.GetSize()


@FEW
@given(grids(), shapes(), st.sampled_from([".nii", ".nii.gz", ".nrrd", ".mha"]), st.integers(0, 99))
def test_every_format_is_read_with_the_geometry_of_itk(matrix, shape, ending, seed):
    made = place(blobs(shape, seed), matrix)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"v{ending}"
        sitk.WriteImage(made, str(path), True)
        assert_every_voxel_is_where_it_was(made, read_image(path)[0])


@FEW
@given(grids(mirrored=False), shapes(), st.randoms(use_true_random=False))
def test_dicom_slices_in_any_file_order_keep_their_position(matrix, shape, chance):
    values = np.random.default_rng(1).integers(-900, 900, shape).astype(np.int16)
    with tempfile.TemporaryDirectory() as folder:
        write_series(Path(folder), values, matrix, key="k")
        files = list(Path(folder).iterdir())
        chance.shuffle(files)
        found, _ = find_series(files, "p")
        assert found is not None
        read = read_series(found, "p")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read), values)
    np.testing.assert_allclose(affine(read), matrix, atol=1e-4)


@ANY
@given(grids(), shapes(), st.data())
def test_a_cropped_mask_stays_in_place(matrix, shape, data):
    image = place(np.zeros(shape, np.int16), matrix)
    whole = place(blobs(shape, 5), matrix)
    ends = [sorted((data.draw(st.integers(0, n - 1)), data.draw(st.integers(0, n - 1))))
            for n in shape[::-1]]  # fmt: skip
    part = whole[tuple(slice(low, high + 1) for low, high in ends)]
    code = data.draw(st.sampled_from(CODES))
    stored = sitk.DICOMOrient(part, code)
    placed, note = on_grid(stored, image, "p")
    assert (note is None) == (
        orientation(stored) == orientation(image) and part.GetSize() == image.GetSize()
    )
    assert_every_voxel_is_where_it_was(part, placed)


@ANY
@given(grids(), shapes(), st.data())
def test_a_mask_of_an_uncropped_image_stays_in_place(matrix, shape, data):
    array = blobs(shape, 6)
    array[0, 0, 0] = 1
    whole = place(array, matrix)
    ends = [sorted((data.draw(st.integers(0, n - 1)), data.draw(st.integers(0, n - 1))))
            for n in shape[::-1]]  # fmt: skip
    part = whole[tuple(slice(low, high + 1) for low, high in ends)]
    assume(sitk.GetArrayViewFromImage(part).any() and part.GetSize() != whole.GetSize())
    stored = sitk.DICOMOrient(whole, data.draw(st.sampled_from(CODES)))
    placed, note = on_grid(stored, part, "p", crop=True)
    assert note is not None
    assert note.startswith("mask cropped")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(placed), sitk.GetArrayFromImage(part))
    assert_every_voxel_is_where_it_was(part, placed)


@ANY
@given(grids(), shapes())
def test_slices_first_moves_no_voxel(matrix, shape):
    made = place(blobs(shape, 4), matrix)
    turned = oriented_to(made, SLICES_FIRST)
    assert_every_voxel_is_where_it_was(made, turned)
    spacing = turned.GetSpacing()
    if slice_axis(spacing, turned.GetDirection()):
        assert spacing[2] == max(spacing)


@ANY
@given(grids(), shapes(), st.sampled_from([2, 3]), st.sampled_from(CODES))
def test_a_finer_mask_is_resampled_in_place(matrix, shape, times, code):
    coarse = blobs(shape, 7)
    fine = np.kron(coarse, np.ones((times,) * 3, np.uint8))
    steps = np.diag([1 / times, 1 / times, 1 / times, 1.0])
    steps[:3, 3] = (1 / times - 1) / 2
    mask = sitk.DICOMOrient(place(fine, matrix @ steps), code)
    image = place(np.zeros(shape, np.int16), matrix)
    placed, note = on_grid(mask, image, "p", resample=True)
    assert note is not None
    assert "resampled" in note
    assert_every_voxel_is_where_it_was(place(coarse, matrix), placed)


@ANY
@given(grids(), shapes(), st.sampled_from(CODES))
def test_reordering_axes_twice_restores_the_volume(matrix, shape, code):
    made = oriented(place(blobs(shape, 3), matrix))
    there = oriented(made, code)
    back = oriented(there)
    assert orientation(back) == orientation(made)
    np.testing.assert_allclose(affine(back), affine(made), atol=1e-9)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(made))
