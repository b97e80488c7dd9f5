"""Several volumes under one SeriesInstanceUID, and one volume under many."""

import re

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from dataset_conversion.dicom.patients import check_one_patient
from dataset_conversion.dicom.series import find_series, read_series
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import place
from dataset_conversion.phantoms import dicom_faults
from dataset_conversion.phantoms.dicom import MR, write_series
from tests.dataset_conversion.making import AFFINE, ct, series


def find(folder, **how):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return find_series(files, "patient", **how)


def values(folder, **how):
    return sitk.GetArrayFromImage(read_series(find(folder, **how)[0], "patient"))


def change(files, edit):
    for index, path in enumerate(files):
        data = pydicom.dcmread(path)
        edit(data, index)
        data.save_as(path)


def fits(series):
    return np.allclose(series.affine, AFFINE, atol=1e-3) and series.size == (14, 12, 6)


def choices(message):
    return re.findall(r"--series '([^']+)'", message)


def listed(folder, **how):
    with pytest.raises(DatasetError) as stopped:
        find(folder, **how)
    return choices(str(stopped.value)), str(stopped.value)


def second(folder, seed=2, shift=0.0, prefix="B", **tags):
    """Write a second volume into a series, moved along z."""
    matrix = AFFINE.copy()
    matrix[2, 3] += shift
    for path in write_series(folder / "more", ct(seed), matrix, key="t", tags=tags):
        path.rename(folder / f"{prefix}{path.name}")


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
    found, notes = find(tmp_path)
    assert notes == []
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_series(found, "p")), ct())


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


@pytest.mark.parametrize("localizer", [False, True])
@pytest.mark.parametrize("dose", [False, True])
def test_scouts_and_dose_reports_are_passed_over_with_a_note(tmp_path, localizer, dose):
    series(tmp_path)
    dicom_faults.scout(tmp_path)
    if dose:
        dicom_faults.dose_report(tmp_path)
    if localizer:
        kind = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        change(tmp_path.glob("scout*"), lambda d, i: setattr(d, "ImageType", kind))
    found, notes = find(tmp_path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_series(found, "p")), ct())
    assert any("passed over" in note for note in notes)
    assert len(notes) == localizer + (dose or not localizer)


@pytest.mark.parametrize("at", [0, 5])
@pytest.mark.parametrize(
    "name", ["PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient"]
)
def test_a_damaged_slice_at_the_end_is_not_passed_over_as_a_scout(tmp_path, at, name):
    files = series(tmp_path)
    change([files[at]], lambda data, index: delattr(data, name))
    with pytest.raises(DatasetError):
        find(tmp_path)


def test_images_of_one_place_are_passed_over(tmp_path):
    series(tmp_path / "ct")
    series(tmp_path / "bolus", 1, key="b", positions=np.repeat(AFFINE[:3, 3][None], 6, axis=0))
    found, notes = find(tmp_path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_series(found, "p")), ct())
    assert "passed over" in notes[0]


def test_colours_next_to_a_stack_are_passed_over(tmp_path):
    series(tmp_path / "ct")
    series(tmp_path / "colour", 1, key="c")
    dicom_faults.colour(tmp_path / "colour")
    found, notes = find(tmp_path)
    assert found.size == (14, 12, 6)
    assert "passed over" in notes[0]


@pytest.mark.parametrize("studies", [False, True], ids=["one study", "a study for each"])
def test_one_uid_per_slice_is_one_series(tmp_path, studies):
    series(tmp_path)
    dicom_faults.uid_per_slice(tmp_path)
    if studies:
        change(
            sorted(tmp_path.glob("*.dcm")), lambda d, i: setattr(d, "StudyInstanceUID", f"2.25.{i}")
        )
    found, notes = find(tmp_path)
    assert notes == ["each slice has its own SeriesInstanceUID: taken as one series"]
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_series(found, "p")), ct())


def test_one_uid_per_slice_and_a_missing_slice(tmp_path):
    series(tmp_path)[3].unlink()
    dicom_faults.uid_per_slice(tmp_path)
    with pytest.raises(DatasetError, match="uneven gaps"):
        find(tmp_path)


def test_one_uid_per_slice_in_two_series(tmp_path):
    for number in (1, 2):
        folder = tmp_path / str(number)
        series(folder, number, key=str(number), tags={"SeriesNumber": number})
        dicom_faults.uid_per_slice(folder)
    offered, _ = listed(tmp_path)
    assert offered == ["SeriesNumber=1", "SeriesNumber=2"]
    np.testing.assert_array_equal(values(tmp_path, description=offered[1]), ct(2))


def test_empty_uids_of_two_series(tmp_path):
    for number in (1, 2):
        folder = tmp_path / str(number)
        series(folder, number, tags={"SeriesNumber": number, "SeriesDescription": f"part {number}"})
        dicom_faults.empty_uids(folder)
    np.testing.assert_array_equal(values(tmp_path, description="part 2"), ct(2))


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


def test_files_of_two_patients_stop_without_their_ids(tmp_path):
    series(tmp_path / "a", 1, key="a", tags={"PatientID": "ANNA"})
    series(tmp_path / "b", 2, key="b", tags={"PatientID": "BERT", "SeriesDescription": "other"})
    with pytest.raises(DatasetError, match="belong to two patients") as stopped:
        find(tmp_path)
    assert "ANNA" not in str(stopped.value)
    assert "BERT" not in str(stopped.value)
    found, _ = find(tmp_path, description="other")
    assert found.patient == "BERT"


def test_images_without_a_patient_id_fit_every_patient(tmp_path):
    files = series(tmp_path)
    change(files[:3], lambda data, index: setattr(data, "PatientID", "" if index else "Phantom"))
    found, _ = find(tmp_path)
    check_one_patient(found.slices, "p")


@pytest.mark.parametrize(
    ("modality", "found"),
    [("any", True), ("ANY", True), (None, True), ("none", True), ("CT", False)],
)
def test_an_absent_modality(tmp_path, modality, found):
    series(tmp_path, tags={"Modality": None})
    if found:
        assert find(tmp_path, modality=modality)[0].size == (14, 12, 6)
    else:
        with pytest.raises(
            DatasetError, match="Modality is absent, expected CT; pass --modality none"
        ):
            find(tmp_path, modality=modality)


def test_none_does_not_accept_another_modality(tmp_path):
    write_series(tmp_path, ct(), AFFINE, key="m", scanner=MR)
    with pytest.raises(DatasetError, match="Modality is MR, expected none; pass --modality MR"):
        find(tmp_path, modality="none")
    assert place(ct(), AFFINE).GetSize() == find(tmp_path, modality="any")[0].size


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
