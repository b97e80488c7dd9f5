"""Series by their UIDs, patients and modality; scouts and pictures next to a stack."""

import numpy as np
import pytest

from dataset_conversion.dicom.patients import check_one_patient
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import place
from dataset_conversion.phantoms import dicom_faults
from dataset_conversion.phantoms.dicom import MR, write_series
from tests.dataset_conversion.dicom.reading import change, find, listed, values
from tests.dataset_conversion.making import AFFINE, ct, series


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
    _, notes = find(tmp_path)
    np.testing.assert_array_equal(values(tmp_path), ct())
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
    _, notes = find(tmp_path)
    np.testing.assert_array_equal(values(tmp_path), ct())
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
    _, notes = find(tmp_path)
    assert notes == ["each slice has its own SeriesInstanceUID: taken as one series"]
    np.testing.assert_array_equal(values(tmp_path), ct())


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
