"""Copies of an image are found in any form of storage, and different images never."""

import itertools

import numpy as np
import pytest

from dataset_conversion.cases.intensities import NEAR, SAME, compare, intensities, label_key
from tests.dataset_conversion.making import ct, labels

IMAGE = ct(3, (5, 8, 9))


def forms():
    """The same voxels as other types and orders of the axes."""
    yield "int32", IMAGE.astype(np.int32)
    yield "float32", IMAGE.astype(np.float32)
    yield "float64", IMAGE.astype(np.float64)
    for order in itertools.permutations(range(3)):
        yield f"axes {order}", IMAGE.transpose(order)
    yield "flipped", IMAGE[::-1, :, ::-1]
    yield "turned", np.rot90(IMAGE, axes=(1, 2)).astype(np.float32)
    yield "2D", IMAGE[:1]


def scales():
    """The same voxels at another scale or offset."""
    yield "intercept lost", (IMAGE + 1024).astype(np.uint16)
    for slope, offset in ((0.37, 0.0), (1 / 3, -1024), (2.0, 5.5), (0.0123, 1e3)):
        scaled = IMAGE * slope + offset
        yield f"slope {slope:.2g}", scaled
        yield f"float32 slope {slope:.2g}", scaled.astype(np.float32)
    yield "twice the values", (IMAGE * 2).astype(np.int32)
    yield "far values", IMAGE.astype(np.int64) + 10**9
    yield "plus one", IMAGE + 1


@pytest.mark.parametrize(("name", "other"), list(forms()))
def test_a_copy_is_found_in_any_form(name, other):
    first = IMAGE[0] if name == "2D" else IMAGE
    assert intensities(first).key == intensities(other).key
    assert compare(first, other) == SAME


@pytest.mark.parametrize(("name", "other"), list(scales()))
def test_another_scale_or_offset_is_nearly_the_same(name, other):
    assert intensities(IMAGE).key != intensities(other).key
    assert intensities(IMAGE).near == intensities(other).near
    assert compare(IMAGE, other) == NEAR


def test_fractions_are_compared_as_stored_in_any_type():
    scaled = IMAGE * 0.37 - 12.5
    assert intensities(scaled).key == intensities(scaled.astype(np.float32)).key
    assert compare(scaled, scaled.astype(np.float32)) == SAME


def test_continuous_values_are_compared():
    values = np.random.default_rng(1).normal(size=(6, 7, 8)).astype(np.float32)
    assert intensities(values).key == intensities(values[:, ::-1].astype(np.float64)).key
    assert compare(values, values[:, ::-1]) == SAME
    assert intensities(values).key != intensities(values + values.mean() ** 2 + 1).key


@pytest.mark.parametrize("air", [-2000, -1024])
def test_other_values_of_air_are_nearly_the_same(air):
    other = IMAGE.copy()
    other[IMAGE < -800] = air
    assert intensities(IMAGE).key != intensities(other).key
    assert intensities(IMAGE).near == intensities(other).near
    assert compare(IMAGE, other) == NEAR


def test_the_same_levels_at_other_places_are_another_image():
    other = np.random.default_rng(0).permutation(IMAGE.ravel()).reshape(IMAGE.shape)
    assert intensities(IMAGE).key == intensities(other).key
    assert compare(IMAGE, other) == ""


def test_one_other_voxel_is_another_image():
    other = IMAGE.copy()
    other[2, 3, 4] += 1
    assert intensities(IMAGE).key != intensities(other).key
    assert compare(IMAGE, other) != SAME


def test_an_image_of_one_level_has_no_key():
    assert intensities(np.full((3, 4, 5), 7)).key == ""


def test_a_label_map_has_the_key_of_its_image():
    mask = labels()
    voxels = dict(zip(*np.unique(mask, return_counts=True), strict=True))
    assert label_key(mask.shape, voxels) == intensities(mask.astype(np.float32)).key


@pytest.mark.parametrize(
    ("array", "hounsfield"),
    [
        (IMAGE, True),
        (IMAGE.astype(np.float32) + 0.5, True),
        (IMAGE + 1024, False),
        (np.where(IMAGE > 0, IMAGE, -1000), False),  # MRI with border padding
        (IMAGE / 500, False),
    ],
)
def test_hounsfield_units_are_recognised(array, hounsfield):
    assert intensities(array).hounsfield is hounsfield
