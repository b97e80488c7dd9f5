"""Series whose headers lack or misstate what tells volumes apart: what is read, and what stops."""

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.dicom.series import read_series
from dataset_conversion.errors import DatasetError
from dataset_conversion.phantoms import dicom_faults
from dataset_conversion.phantoms.dicom import MR, write_series
from tests.dataset_conversion.dicom.test_multiframe import enhanced
from tests.dataset_conversion.dicom.test_rounded_positions import write
from tests.dataset_conversion.dicom.test_volumes_in_series import (
    change,
    find,
    listed,
    second,
    values,
)
from tests.dataset_conversion.making import AFFINE, ct, series

TWICE = [0, 0, 1, 1, 2, 2]  # positions of the frames


@pytest.mark.parametrize("shift", [0.0, 1.25])
@pytest.mark.parametrize(
    ("tags", "choice"),
    [
        ({"SeriesNumber": 3}, "SeriesNumber=3"),
        ({"SeriesDescription": "T2, tra"}, "T2, tra"),
        ({"SliceThickness": 5}, "SliceThickness=5"),
    ],
)
def test_one_uid_for_two_series(tmp_path, tags, choice, shift):
    series(tmp_path, 1, tags={"SliceThickness": 2.5})
    second(tmp_path, 2, shift, **{"SliceThickness": 2.5, **tags})
    offered, _ = listed(tmp_path)
    assert choice in offered
    np.testing.assert_array_equal(values(tmp_path, description=choice), ct(2))


def test_a_coarse_reformation_in_the_same_plane(tmp_path):
    series(tmp_path, 1, tags={"SliceThickness": 2.5})
    coarse = AFFINE.copy()
    coarse[2, 2:] = 5.0, AFFINE[2, 3] + 1.25
    for path in write_series(tmp_path / "more", ct(2, (3, 12, 14)), coarse, key="t"):
        path.rename(tmp_path / f"B{path.name}")
    assert listed(tmp_path)[0] == ["SliceThickness=2.5", "SliceThickness=5"]
    np.testing.assert_array_equal(values(tmp_path, description="SliceThickness=2.5"), ct(1))


def test_an_interrupted_phase_does_not_hide_the_complete_ones(tmp_path):
    for number in (1, 2, 3):
        second(tmp_path, number, 0, f"P{number}", TemporalPositionIdentifier=number)
    sorted(tmp_path.glob("P3*"))[2].unlink()
    offered, _ = listed(tmp_path)
    assert offered == [f"TemporalPositionIdentifier={number}" for number in (1, 2, 3)]
    np.testing.assert_array_equal(values(tmp_path, description=offered[1]), ct(2))
    with pytest.raises(DatasetError, match="uneven gaps"):
        find(tmp_path, description=offered[2])


def test_echoes_with_phases_that_differ_in_time(tmp_path):
    for number, (echo, time) in enumerate([(1, 1), (1, 2), (2, 1), (2, 2)]):
        tags = {"EchoNumbers": echo, "AcquisitionTime": f"12000{time}"}
        second(tmp_path, number, 0, f"V{number}", **tags)
    offered, _ = listed(tmp_path)
    assert offered == [f"EchoNumbers={e}, phase {t}" for e in (1, 2) for t in (1, 2)]
    np.testing.assert_array_equal(values(tmp_path, description=offered[2]), ct(2))


@pytest.mark.parametrize(
    "thickness", [[2.5, 2.51] * 3, [1.25, 2.5, 2.5, 2.5, 2.5, 1.25]], ids=["noise", "ends"]
)
def test_thickness_does_not_divide_an_even_stack(tmp_path, thickness):
    change(series(tmp_path), lambda data, n: setattr(data, "SliceThickness", thickness[n]))
    np.testing.assert_array_equal(values(tmp_path), ct())


def test_images_that_monitor_contrast_in_the_same_series_are_passed_over(tmp_path):
    series(tmp_path, 1)
    for number in range(4):
        kind = ["ORIGINAL", "PRIMARY", "MONITORING"]
        second(tmp_path, number, 0, f"M{number}", ImageType=kind)
    for path in tmp_path.glob("M*"):
        if not path.name.endswith("0006.dcm"):
            path.unlink()
    found, notes = find(tmp_path)
    assert "passed over" in notes[0]
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_series(found, "p")), ct(1))


def test_all_slices_of_two_acquisitions_with_one_uid_each_can_be_taken(tmp_path):
    series(tmp_path, 1, tags={"AcquisitionNumber": 1})
    second(tmp_path, 2, 1.25, AcquisitionNumber=2)
    dicom_faults.uid_per_slice(tmp_path)
    offered, _ = listed(tmp_path)
    assert offered == ["acquisition 1", "acquisition 2", "AcquisitionNumber=*, phase=*"]
    assert find(tmp_path, description=offered[2])[0].size == (14, 12, 12)


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_values_of_monochrome1_are_not_inverted(tmp_path, modality):
    array = ct() if modality == "CT" else np.abs(ct())
    tags = {"PhotometricInterpretation": "MONOCHROME1"}
    if modality == "CT":
        series(tmp_path, tags=tags)
    else:
        write_series(tmp_path, array, AFFINE, key="m", tags=tags, scanner=MR)
    found, notes = find(tmp_path, modality=modality)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_series(found, "p")), array)
    assert ["MONOCHROME1" in note for note in notes] == [True] * (modality == "MR")


def test_a_comma_in_the_intercept_may_separate_thousands(tmp_path):
    for path in series(tmp_path, tags={"RescaleIntercept": "-1.024"}):
        path.write_bytes(path.read_bytes().replace(b"-1.024", b"-1,024"))
    with pytest.raises(DatasetError, match=r"RescaleIntercept '-1,024' \(in 6 slices\)"):
        find(tmp_path)


def test_a_slope_of_zero_counts_as_one(tmp_path):
    change(series(tmp_path), lambda data, index: setattr(data, "RescaleSlope", 0))
    assert find(tmp_path)[0].slices[0].slope == 1


@pytest.mark.parametrize(
    "groups",
    [
        [{"FrameContentSequence": {"DimensionIndexValues": [1, n // 2, n % 2]}} for n in range(6)],
        [{"FrameContentSequence": {"FrameAcquisitionDateTime": f"2024010112{n % 2}00{n}.5"}}
         for n in range(6)],
    ],
    ids=["order", "time"],
)  # fmt: skip
def test_frames_of_the_same_places_are_phases(tmp_path, groups):
    enhanced(tmp_path, order=TWICE, groups=groups)
    assert listed(tmp_path)[0] == ["phase 1", "phase 2"]
    found, _ = find(tmp_path, description="phase 2")
    assert [one.frame for one in found.slices] == [1, 3, 5]


@pytest.mark.parametrize(
    ("sequence", "name", "numbers", "choice"),
    [
        ("MRModifierSequence", "InversionTimes", (100.0, 800.0), "InversionTime=800"),
        ("ContrastBolusUsageSequence", "ContrastBolusAgentNumber", (1, 2), "ContrastBolusAgent=2"),
    ],
)
def test_frames_differ_in_inversion_or_contrast(tmp_path, sequence, name, numbers, choice):
    groups = [{sequence: {name: numbers[n % 2]}} for n in range(6)]
    enhanced(tmp_path, order=TWICE, groups=groups)
    assert choice in listed(tmp_path)[0]


def test_frames_are_rescaled_as_the_file_states_outside_the_groups(tmp_path):
    path = enhanced(tmp_path)

    def edit(data, index):
        for frame in data.PerFrameFunctionalGroupsSequence:
            del frame.PixelValueTransformationSequence
        data.RescaleSlope, data.RescaleIntercept = 1, -1024

    change([path], edit)
    np.testing.assert_array_equal(values(tmp_path), ct())


@pytest.mark.parametrize("gone", [1, 2])
def test_a_missing_slice_stops_in_a_short_stack_with_coarse_rounding(tmp_path, gone):
    write(tmp_path, np.delete(0.33 * np.arange(4), gone) + 0.12, 1)
    with pytest.raises(DatasetError, match="uneven gaps"):
        find(tmp_path)
