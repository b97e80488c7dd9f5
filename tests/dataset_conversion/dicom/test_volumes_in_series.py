"""Several volumes under one SeriesInstanceUID, and one volume under many."""

import numpy as np
import pydicom
import pytest

from dataset_conversion.errors import DatasetError
from dataset_conversion.phantoms import dicom_faults
from dataset_conversion.phantoms.dicom import write_series
from tests.dataset_conversion.dicom.reading import (
    change,
    check_volume,
    find,
    fits,
    listed,
    second,
    values,
)
from tests.dataset_conversion.making import AFFINE, ct, series

# attributes that differ between two volumes -> the choice that the list offers for the second
DIFFERENT = [
    ({"AcquisitionNumber": 2}, "acquisition 2"),
    ({"ConvolutionKernel": "B70f"}, "ConvolutionKernel=B70f"),
    ({"ConvolutionKernel": ["Br40d", "3"]}, "ConvolutionKernel=Br40d"),
    ({"ContrastBolusAgent": "agent, 80 ml"}, "ContrastBolusAgent=agent, 80 ml"),
    ({"ImageType": ["DERIVED", "PRIMARY", "W", "W"]}, "ImageType=DERIVED"),
    ({"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", "MPR"]}, "ImageType=MPR"),
    ({"EchoTime": "3.5999999999999996"}, "EchoTime=3.6"),
    ({"EchoNumbers": 2}, "EchoNumbers=2"),
    ({"TemporalPositionIdentifier": 2}, "TemporalPositionIdentifier=2"),
    ({"DiffusionBValue": 800.0}, "DiffusionBValue=800"),
    ({"KVP": 140}, "KVP=140"),
    ({"ComplexImageComponent": "PHASE"}, "ComplexImageComponent=PHASE"),
]


@pytest.mark.filterwarnings("ignore:The value length")
@pytest.mark.parametrize(("tags", "choice"), DIFFERENT)
@pytest.mark.parametrize("shift", [0.0, 1.25, 0.7], ids=["same places", "halfway", "uneven"])
def test_two_volumes_in_one_series_are_listed_and_each_can_be_chosen(tmp_path, tags, choice, shift):
    series(tmp_path, 1, tags={"AcquisitionNumber": 1, "SliceThickness": 2.5})
    second(tmp_path, 2, shift, **{"AcquisitionNumber": 1, "SliceThickness": 2.5, **tags})
    offered, message = listed(tmp_path, fits=fits)
    assert "one DICOM series with 2 volumes" in message
    assert "resample" not in message
    assert choice in offered
    offered = [text for text in offered if not text.endswith("=*")]
    assert len(set(offered)) == 2
    read = {text: values(tmp_path, description=text) for text in offered}
    np.testing.assert_array_equal(read.pop(choice), ct(2))
    np.testing.assert_array_equal(*read.values(), ct(1))


def test_the_list_names_the_one_that_the_mask_is_aligned_with(tmp_path):
    series(tmp_path, 1, tags={"AcquisitionNumber": 1})
    second(tmp_path, 2, 1.25, AcquisitionNumber=2)
    _, message = listed(tmp_path, fits=fits)
    assert "the mask is aligned with 'acquisition 1'" in message


def test_private_b_values_separate(tmp_path):
    series(tmp_path, 1)
    second(tmp_path, 2)
    for name, b in (("IM", 0), ("B", 800)):

        def edit(data, index, b=b):
            data.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0C, "IS", b)

        change(sorted(tmp_path.glob(f"{name}*.dcm")), edit)
    assert listed(tmp_path)[0] == ["DiffusionBValue=0", "DiffusionBValue=800"]


def test_echoes_in_phases_need_both_attributes(tmp_path):
    for number, (echo, phase) in enumerate([(1, 1), (1, 2), (2, 1), (2, 2)]):
        second(
            tmp_path, number, 0, f"V{number}", EchoNumbers=echo, TemporalPositionIdentifier=phase
        )
    offered, _ = listed(tmp_path)
    assert offered == [
        f"EchoNumbers={echo}, TemporalPositionIdentifier={phase}"
        for echo in (1, 2)
        for phase in (1, 2)
    ]
    np.testing.assert_array_equal(values(tmp_path, description=offered[2]), ct(2))


@pytest.mark.parametrize(
    "name", ["AcquisitionTime", "ContentTime", "TriggerTime", "InstanceNumber"]
)
def test_phases_that_differ_in_time_only_are_numbered(tmp_path, name):
    for phase in (1, 3, 2):
        second(tmp_path, phase, 0, f"V{phase}", InstanceNumber=1)
        files = sorted(tmp_path.glob(f"V{phase}*.dcm"))

        def edit(data, index, phase=phase):
            setattr(data, name, f"12{phase:02d}{index:02d}")  # each slice has its own time

        change(files, edit)
    assert listed(tmp_path)[0] == ["phase 1", "phase 2", "phase 3"]
    np.testing.assert_array_equal(values(tmp_path, description="phase 2"), ct(2))


@pytest.mark.parametrize(
    "tags",
    [
        lambda i: {"AcquisitionNumber": i},
        lambda i: {"AcquisitionNumber": i // 3},
        lambda i: {"AcquisitionTime": f"12{i:04d}"},
        lambda i: {"TriggerTime": str(17 * i), "TemporalPositionIdentifier": i},
        lambda i: {"StackID": str(i // 3)},
        lambda i: {"AcquisitionNumber": i % 2, "SliceThickness": 2.0},
        lambda i: {"ImageType": ["DERIVED", "SECONDARY"] if i == 2 else ["ORIGINAL", "PRIMARY"]},
    ],
    ids=["per slice", "per table position", "times", "cine", "stacks in a row", "interleaved", "odd one"],
)  # fmt: skip
def test_one_even_stack_is_one_volume(tmp_path, tags):
    def edit(data, index):
        for name, value in tags(index).items():
            setattr(data, name, value)

    change(series(tmp_path), edit)
    check_volume(tmp_path, ct())


def test_two_kernels_one_after_the_other_can_be_taken_as_one(tmp_path):
    def edit(data, index):
        data.ConvolutionKernel = "soft" if index < 3 else "bone"

    change(series(tmp_path), edit)
    offered, message = listed(tmp_path)
    assert "or take all slices as one volume" in message
    assert offered == ["ConvolutionKernel=bone", "ConvolutionKernel=soft", "ConvolutionKernel=*"]
    np.testing.assert_array_equal(values(tmp_path, description=offered[2]), ct())
    np.testing.assert_array_equal(values(tmp_path, description=offered[1]), ct()[:3])


def test_a_missing_slice_stops_although_acquisitions_differ(tmp_path):
    def edit(data, index):
        data.AcquisitionNumber = index // 2

    files = series(tmp_path)
    change(files, edit)
    files[3].unlink()
    with pytest.raises(DatasetError, match=r"uneven gaps between slices: usually 2\.500 mm"):
        find(tmp_path)


def test_three_angled_stacks(tmp_path):
    series(tmp_path)
    dicom_faults.angled_stacks(tmp_path)
    offered, message = listed(tmp_path)
    assert "one DICOM series with 3 stacks (different orientation)" in message
    assert "axial at 20 degrees" in message
    assert offered == ["stack 1", "stack 2", "stack 3"]
    heights = [find(tmp_path, description=text)[0].affine[2, 3] for text in offered]
    assert heights == sorted(heights)
    with pytest.raises(DatasetError, match="no series matches --series 'stack 4'"):
        find(tmp_path, description="stack 4")


def test_parallel_stacks_far_apart(tmp_path):
    z = np.array([0, 2.5, 5, 20, 22.5, 25])
    series(tmp_path, positions=AFFINE[:3, 3] + np.stack([0 * z, 4 * (z > 10), z], axis=1))
    offered, message = listed(tmp_path)
    assert "2 stacks (different position)" in message
    assert "copy the missing slices" in message
    np.testing.assert_array_equal(values(tmp_path, description=offered[1]), ct()[3:])


def test_planes_choose_between_orientations(tmp_path):
    series(tmp_path)
    dicom_faults.two_orientations(tmp_path)
    assert listed(tmp_path)[0] == ["axial", "coronal"]
    np.testing.assert_array_equal(values(tmp_path, description="axial"), ct())
    found, notes = find(tmp_path, fits=fits)
    assert found.size == (14, 12, 6)
    assert notes == ["of 2 volumes in one DICOM series, used the one that the mask is aligned with"]


def test_two_fields_of_view_in_one_series(tmp_path):
    series(tmp_path, 1)
    wide = AFFINE.copy()
    wide[:3, :2] *= 1.5
    for path in write_series(tmp_path / "wide", ct(2), wide, key="t"):
        path.rename(tmp_path / f"W{path.name}")
    offered, message = listed(tmp_path)
    assert "2 stacks (different PixelSpacing)" in message
    assert len(offered) == 2
    found, notes = find(tmp_path, fits=fits)
    assert found.slices[0].pixel == (0.9, 0.8)
    assert "used the one that the mask is aligned with" in notes[0]


def test_a_choice_combines_terms(tmp_path):
    series(tmp_path / "a", 1, key="a", tags={"SeriesDescription": "T1, tra", "EchoNumbers": 1})
    second(tmp_path / "a", 2, EchoNumbers=2, SeriesDescription="T1, tra")
    change(
        (tmp_path / "a").glob("B*"),
        lambda d, i: setattr(d, "SeriesInstanceUID", _uid(tmp_path / "a")),
    )
    series(tmp_path / "b", 3, key="b", tags={"SeriesDescription": "T2"})
    for text in ("T1, tra, EchoNumbers=2", "t1,echo 2", "EchoNumbers=2", " echo  2 "):
        np.testing.assert_array_equal(values(tmp_path, description=text), ct(2))
    with pytest.raises(DatasetError, match="no series matches --series 'T2, echo 2'; found:"):
        find(tmp_path, description="T2, echo 2")


def _uid(folder):
    return str(pydicom.dcmread(next(folder.glob("IM*"))).SeriesInstanceUID)


def test_many_volumes_are_not_all_listed(tmp_path):
    for number in range(14):
        second(tmp_path, number, 0, f"V{number:02d}", TemporalPositionIdentifier=number + 1)
    offered, message = listed(tmp_path)
    assert len(offered) == 12
    assert "; and 2 more" in message
    np.testing.assert_array_equal(
        values(tmp_path, description="TemporalPositionIdentifier=14"), ct(13)
    )


@pytest.mark.parametrize("shift", [1.25, 0.7], ids=["halfway", "uneven"])
@pytest.mark.parametrize("name", ["InstanceNumber", "AcquisitionTime", "per slice"])
def test_two_passes_that_differ_in_time_or_number_only(tmp_path, shift, name):
    series(tmp_path, 1, tags={"SliceThickness": 2.5})
    second(tmp_path, 2, shift, SliceThickness=2.5)
    for late, prefix in enumerate(("IM", "B")):

        def edit(data, index, late=late):
            if name != "InstanceNumber":
                data.InstanceNumber = 1
                each = index if name == "per slice" else 0
                data.AcquisitionTime = f"12{late:02d}{each:02d}.25"

        change(sorted(tmp_path.glob(f"{prefix}*.dcm")), edit)
    offered, message = listed(tmp_path, fits=fits)
    assert "2 volumes (different time)" in message
    assert offered[:2] == ["phase 1", "phase 2"]
    np.testing.assert_array_equal(values(tmp_path, description="phase 2"), ct(2))
    if shift == 1.25:
        assert find(tmp_path, description=offered[2])[0].size == (14, 12, 12)


@pytest.mark.parametrize(
    "thickness", [1.25, 2.5], ids=["MR in two concatenations", "overlapping CT"]
)
def test_slices_between_others_that_are_one_scan(tmp_path, thickness):
    array = ct(shape=(12, 12, 14))
    matrix = AFFINE.copy()
    matrix[2, 2] = 1.25
    files = write_series(tmp_path, array, matrix, key="t")

    def edit(data, index):
        data.SliceThickness = thickness
        order = index if thickness > 2 else index // 2 + 6 * (index % 2)
        data.AcquisitionTime, data.InstanceNumber = f"12{order:04d}", index + 1

    change(files, edit)
    found, notes = find(tmp_path)
    assert notes == []
    assert found.size == (14, 12, 12)


def test_invalid_numbers_in_attributes_that_only_tell_volumes_apart_do_not_stop(tmp_path):
    files = series(tmp_path, tags={"EchoTime": "2.400", "KVP": "120.0"})
    for path in files:
        content = path.read_bytes()
        assert b"2.400" in content
        path.write_bytes(content.replace(b"2.400", b"2,400").replace(b"120.0", b"x20.0"))
    found, notes = find(tmp_path, description="EchoTime=2.4")
    assert notes == []
    assert found.slices[0].traits["KVP"] == "x20.0"


def test_an_offered_choice_is_unique_among_all_series(tmp_path):
    series(tmp_path / "a", 1, key="a", tags={"SeriesDescription": "T1", "EchoNumbers": 1})
    second(tmp_path / "a", 2, EchoNumbers=2, SeriesDescription="T1")
    change(
        (tmp_path / "a").glob("B*"),
        lambda d, i: setattr(d, "SeriesInstanceUID", _uid(tmp_path / "a")),
    )
    series(tmp_path / "b", 3, key="b", tags={"SeriesDescription": "T2", "EchoNumbers": 2})
    offered, _ = listed(tmp_path, description="T1")
    np.testing.assert_array_equal(values(tmp_path, description=offered[1]), ct(2))
