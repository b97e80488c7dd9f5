"""What the conversion reports on slice directions and in-plane spacings."""

import pytest

from dataset_conversion.cases.slice_direction import grid_notes

CORONAL, AXIAL, SAGITTAL = (((0.6, 3.3, 0.6), "LPS"), ((0.6, 0.6, 3.3), "LPS"),
                            ((0.6, 0.6, 4.0), "PIR"))  # fmt: skip
CUBE = ((1.0, 1.0, 1.0), "RAS")


def notes(*grids, slices_first=False, sided=True):
    return grid_notes(grids, slices_first=slices_first, sided=sided)


def test_ten_coronal_and_three_axial_stacks_are_counted():
    (note,) = notes(*[CORONAL] * 10, *[AXIAL] * 3)
    assert "(coronal in 10 cases, axial in 3)" in note
    assert "--slices-first" in note


@pytest.mark.parametrize("grids", [[CORONAL] * 3, [CORONAL, CUBE], [CUBE], []])
def test_one_direction_is_not_reported(grids):
    assert notes(*grids) == []


def test_directions_count_in_the_body_not_in_the_file():
    assert notes(CORONAL, ((0.6, 0.6, 3.3), "LIP")) == []
    assert notes(((0.6, 0.6, 3.3), "LPS"), ((0.6, 0.6, 3.3), "LIP")) != []


def test_volumes_without_slices_are_counted_too():
    (note,) = notes(CORONAL, AXIAL, AXIAL, CUBE)
    assert "(axial in 2 cases, coronal in 1, no slice axis in 1)" in note


def test_slices_first_reports_what_it_does():
    (note,) = notes(CORONAL, AXIAL, slices_first=True)
    assert note.endswith("each volume is stored with its slice axis first")
    (note,) = notes(CORONAL, SAGITTAL, slices_first=True)
    assert note.endswith(
        "left-right is axis 0 or 2 of the array, so none of them is mirrored in training"
    )
    (note,) = notes(CORONAL, SAGITTAL, slices_first=True, sided=False)
    assert "mirrored" not in note


def test_in_plane_spacings_that_differ_tenfold_are_counted():
    fine, coarse = ((0.3, 0.3, 3.0), "LPS"), ((3.0, 3.0, 3.0), "LPS")
    (note,) = notes(fine, fine, fine, coarse)
    assert note.startswith("in-plane spacing differs 10 times between cases: 0.3 mm or more in 3 cases, "
                           "up to 3 mm in 1;")  # fmt: skip
    assert notes(fine, ((0.9, 0.9, 9.0), "LPS")) == []
