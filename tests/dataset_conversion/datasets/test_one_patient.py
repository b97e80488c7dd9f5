"""DICOM of several patients in one folder, and DICOM CDs."""

import pytest

from dataset_conversion.datasets.layouts import find_entries
from dataset_conversion.datasets.patient_folder import read_patient
from dataset_conversion.errors import DatasetError
from tests.dataset_conversion.making import labels, nifti, series


def read(folder):
    return read_patient(folder, mask_pattern="mask", modality="CT", series=None)


def disc(folder, ids):
    """Write a CD: DICOMDIR, a viewer, and DICOM/PAT<n>/STU1/SER1/IMG<i> without extensions."""
    for number, name in enumerate(ids):
        place = folder / "DICOM" / f"PAT{number}" / "STU1" / "SER1"
        files = series(place, number, key=f"{number}", tags={"PatientID": name})
        for index, path in enumerate(files):
            path.rename(place / f"IMG{index:05d}")
    (folder / "VIEWER").mkdir()
    (folder / "VIEWER" / "run.exe").write_bytes(b"MZ" * 200)
    (folder / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    (folder / "autorun.inf").write_text("[autorun]")
    return folder


def test_two_patients_in_one_folder_stop_without_their_ids(tmp_path):
    source = disc(tmp_path / "cd", ["SECRET1", "SECRET2"])
    found, notes = find_entries(source, "mask")
    assert [entry.name for entry in found] == ["DICOM"]
    assert notes == ["folders of a DICOM CD without images were passed over"]
    with pytest.raises(DatasetError) as error:
        read(source / "DICOM")
    message = str(error.value)
    assert "two patients (their PatientIDs differ): PAT0, PAT1; pass" in message
    assert "SECRET" not in message
    # the fix that the message states
    assert f"pass {source / 'DICOM'} as the source" in message
    found, _ = find_entries(source / "DICOM", "mask")
    assert [read(entry.where).image.size[2] for entry in found] == [6, 6]


def test_two_patients_in_one_series_or_one_folder_stop(tmp_path):
    for number, name in enumerate(("A", "B")):
        for path in series(tmp_path / name, number, key="same", tags={"PatientID": name}):
            path.rename(tmp_path / f"{name}{path.name}")
        (tmp_path / name).rmdir()
    with pytest.raises(DatasetError, match=r"two patients .* in the same folder .*sort them into"):
        read(tmp_path)


def test_the_other_patients_series_stops_even_if_one_fits(tmp_path):
    series(tmp_path / "ct", 1, tags={"PatientID": "A"})
    series(tmp_path / "scout", 2, key="s", tags={"PatientID": "B", "Modality": "MR"})
    nifti(tmp_path / "mask.nii.gz", labels())
    with pytest.raises(DatasetError, match=r"two patients .* ct, scout; pass"):
        read(tmp_path)


@pytest.mark.parametrize("other", ["", "007", " a7 ".strip()])
def test_spellings_of_one_id_are_one_patient(tmp_path, other):
    series(tmp_path / "ct", 1, tags={"PatientID": "7" if other != "a7" else "A7"})
    series(tmp_path / "mr", 2, key="s", tags={"PatientID": other, "Modality": "MR"})
    assert read(tmp_path).image.size[2] == 6
