"""Contours to voxels: position, boundary, holes, and what is refused."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from dataset_conversion.dicom.structure_set import read_structure_set
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.segments import PLAIN, Reading
from dataset_conversion.io.volumes import Header
from dataset_conversion.phantoms.structure_set import write_structure_set
from tests.dataset_conversion.making import AFFINE, SHAPE, labels, series

GRID = Header(SHAPE[::-1], AFFINE)
MASK = labels()


def turned(degrees):
    """An oblique affine: the body's axis and then the x axis are tilted."""
    a = np.radians(degrees)
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    matrix = AFFINE.copy()
    matrix[:3, :3] = about_x @ about_z @ AFFINE[:3, :3]
    return matrix


def structures(folder, voxels, matrix=AFFINE):
    slices = series(folder / "ct")
    return write_structure_set(folder / "rs.dcm", voxels, slices, matrix)


def drawn(folder, *contours, kind="CLOSED_PLANAR", digits=6, matrix=AFFINE):
    """An RTSTRUCT of one structure whose contours are given as (x, y) indices on slice 2."""
    path = structures(folder, {"sacrum": MASK == 1}, matrix)
    found = pydicom.dcmread(path)
    template = found.ROIContourSequence[0].ContourSequence[0]
    made = []
    for points in contours:
        index = np.array([(x, y, 2, 1) for x, y in points], float)
        item = pydicom.Dataset()
        item.update(template)
        item.ContourGeometricType, item.NumberOfContourPoints = kind, len(points)
        values = (index @ matrix.T)[:, :3].ravel()
        item.ContourData = [f"{value:.{digits}f}"[:16] for value in values]
        made.append(item)
    found.ROIContourSequence[0].ContourSequence = made
    found.save_as(path)
    return path


def voxels(path, grid=GRID, how=PLAIN):
    return sitk.GetArrayFromImage(read_structure_set(path, grid, how).image)


@pytest.mark.parametrize("degrees", [0, 20])
def test_voxels_of_oblique_series_are_those_that_were_contoured(tmp_path, degrees):
    matrix = turned(degrees)
    path = structures(tmp_path, {"b": MASK == 2, "a": MASK == 1}, matrix)
    found = read_structure_set(path, Header(GRID.size, matrix), PLAIN)
    assert found.segments == {"b": 1, "a": 2}
    np.testing.assert_array_equal(sitk.GetArrayFromImage(found.image), np.array([0, 2, 1])[MASK])


@pytest.mark.parametrize("digits", [6, 2])
@pytest.mark.parametrize("degrees", [0, 20])
def test_a_contour_through_centres_includes_them(tmp_path, digits, degrees):
    matrix = turned(degrees)
    path = drawn(tmp_path, [(3, 4), (8, 4), (8, 7), (3, 7)], digits=digits, matrix=matrix)
    expected = np.zeros(SHAPE, np.uint8)
    expected[2, 4:8, 3:9] = 1
    np.testing.assert_array_equal(voxels(path, Header(GRID.size, matrix)), expected)


def test_a_contour_in_another_is_a_hole_and_a_third_an_island(tmp_path):
    squares = [[(a, a), (10 - a, a), (10 - a, 10 - a), (a, 10 - a)] for a in (0.5, 2.5, 4.5)]
    expected = np.zeros(SHAPE, np.uint8)
    expected[2, 1:10, 1:10] = 1
    expected[2, 3:8, 3:8] = 0
    expected[2, 5, 5] = 1
    np.testing.assert_array_equal(voxels(drawn(tmp_path, *squares)), expected)


def test_a_keyhole_is_a_hole(tmp_path):
    outer = [(0.5, 0.5), (8.5, 0.5), (8.5, 8.5), (0.5, 8.5), (0.5, 4.5)]
    inner = [(2.5, 4.5), (2.5, 6.5), (6.5, 6.5), (6.5, 2.5), (2.5, 2.5), (2.5, 4.5)]
    expected = np.zeros(SHAPE, np.uint8)
    expected[2, 1:9, 1:9] = 1
    expected[2, 3:7, 3:7] = 0
    np.testing.assert_array_equal(voxels(drawn(tmp_path, [*outer, *inner, (0.5, 4.5)])), expected)


def test_points_and_open_contours_stop_unless_they_are_left_out(tmp_path):
    path = drawn(tmp_path, [(3, 4)], kind="POINT")
    with pytest.raises(DatasetError, match=r"'sacrum' has a contour of type POINT.*--rename"):
        voxels(path)
    assert not voxels(path, how=Reading(renames={"sacrum": "background"})).any()


def test_contours_outside_the_image_stop(tmp_path):
    path = drawn(tmp_path, [(3, 4), (30, 4), (30, 7)])
    with pytest.raises(DatasetError, match="'sacrum' has a contour outside the image"):
        voxels(path)


def test_a_damaged_file_stops(tmp_path):
    path = structures(tmp_path, {"sacrum": MASK == 1})
    found = pydicom.dcmread(path)
    found.ROIContourSequence[0].ReferencedROINumber = 9
    found.save_as(path)
    with pytest.raises(DatasetError, match=r"rs\.dcm: the RTSTRUCT is damaged"):
        voxels(path)


def test_two_structures_of_one_name_stop(tmp_path):
    path = structures(tmp_path, {"sacrum": MASK == 1, "Sacrum": MASK == 2})
    with pytest.raises(DatasetError, match=r"\['Sacrum', 'sacrum'\] have blank names or names of"):
        voxels(path)


def square(a, b):
    return [(a, a), (b, a), (b, b), (a, b)]


def test_a_contour_that_is_stored_twice_counts_once(tmp_path):
    again = square(1.5, 6.5)[2:] + square(1.5, 6.5)[:2]
    path = drawn(tmp_path, square(1.5, 6.5), again[::-1])
    expected = np.zeros(SHAPE, np.uint8)
    expected[2, 2:7, 2:7] = 1
    np.testing.assert_array_equal(voxels(path), expected)
    notes = read_structure_set(path, GRID, PLAIN).notes
    assert notes == ("contours that are stored twice are read once",)


def test_contours_that_cross_stop(tmp_path):
    path = drawn(tmp_path, square(1.5, 6.5), square(4.5, 9.5))
    with pytest.raises(
        DatasetError, match="'sacrum' has contours that cross each other on slice 3"
    ):
        voxels(path)
    found = voxels(drawn(tmp_path, square(1.5, 6.5), square(4.5, 9.5), kind="CLOSEDPLANAR_XOR"))
    assert found[2, 5, 5] == 0
    assert found[2, 3, 3] == found[2, 8, 8] == 1


def test_contours_that_touch_are_apart(tmp_path):
    found = voxels(drawn(tmp_path, square(1.5, 4.5), square(4.5, 8.5)))
    assert found[2, 3, 3] == found[2, 6, 6] == 1
    assert found.sum() == 9 + 16
