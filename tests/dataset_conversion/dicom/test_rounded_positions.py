"""Slice positions with few decimals."""

import numpy as np
import pytest

from dataset_conversion.errors import DatasetError
from dataset_conversion.phantoms.dicom import write_series
from tests.dataset_conversion.dicom.reading import find
from tests.dataset_conversion.making import AFFINE, ct


def write(folder, heights, digits, lean=0.0):
    """Write slices at these heights along the normal, positions rounded to so many digits."""
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(lean), -np.sin(lean)], [np.sin(lean), np.cos(lean)]]
    matrix = turn @ AFFINE
    normal = np.cross(matrix[:3, 0], matrix[:3, 1])
    positions = matrix[:3, 3] + np.outer(heights, normal / np.linalg.norm(normal))
    array = ct(shape=(len(heights), 12, 14))
    return write_series(folder, array, matrix, key="r", positions=np.round(positions, digits))


@pytest.mark.parametrize("digits", [1, 2])
@pytest.mark.parametrize("lean", [0.0, 0.3])
@pytest.mark.parametrize("start", [0.0, 0.11, 0.375, 0.5, 63.89])
@pytest.mark.parametrize("spacing", [0.625, 0.75, 1.25])
def test_rounded_positions_are_one_even_volume(tmp_path, digits, lean, start, spacing):
    write(tmp_path, start + spacing * np.arange(12), digits, lean)
    found, notes = find(tmp_path)
    assert np.linalg.norm(found.affine[:3, 2]) == pytest.approx(spacing, abs=10.0**-digits / 12)
    assert all("slice positions are rounded to" in note for note in notes)


@pytest.mark.parametrize("start", [63.89, 250.0])
def test_the_answer_does_not_depend_on_the_start(tmp_path, start):
    write(tmp_path, start + 0.625 * np.arange(12), 2)
    found, notes = find(tmp_path)
    assert notes == ["slice positions are rounded to 0.01 mm: an even spacing is fitted"]
    assert found.affine[2, 2] == pytest.approx(0.625, abs=5e-4)


def test_exact_positions_keep_their_first_position(tmp_path):
    write(tmp_path, 2.5 * np.arange(6), 9)
    found, notes = find(tmp_path)
    assert notes == []
    np.testing.assert_allclose(found.affine, AFFINE, rtol=0, atol=1e-12)


@pytest.mark.parametrize("digits", [1, 2])
@pytest.mark.parametrize("gone", [1, 2, 6, 10])
@pytest.mark.parametrize("spacing", [0.4, 0.625, 2.5])
def test_a_missing_slice_still_stops(tmp_path, digits, gone, spacing):
    write(tmp_path, np.delete(spacing * np.arange(12), gone), digits)
    with pytest.raises(DatasetError, match="uneven gaps"):
        find(tmp_path)


def test_a_gap_larger_than_the_rounding_stops(tmp_path):
    heights = 1.25 * np.arange(12)
    heights[6:] += 0.2
    write(tmp_path, heights, 1)
    with pytest.raises(DatasetError, match=r"uneven gaps between slices: usually 1\.[23]00 mm"):
        find(tmp_path)


def test_whole_millimetres_are_named_as_the_reason(tmp_path):
    write(tmp_path, 2.5 * np.arange(12), 0)
    with pytest.raises(DatasetError, match=r"uneven gaps.*positions are rounded to 1 mm"):
        find(tmp_path)
