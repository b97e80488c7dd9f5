"""PatientIDs in mixed folders and in several spellings: one patient is never in two folds."""

import pytest

from dataset_conversion.datasets.hospital_ct import Options, convert
from dataset_conversion.datasets.patient_ids import by_patient, unbroken
from dataset_conversion.dicom.patients import spelling
from tests.dataset_conversion.datasets.comparing import folds
from tests.dataset_conversion.making import label_file, labels, nifti, patient, series

pytestmark = pytest.mark.usefixtures("no_picture")


def converted(tmp_path, ids, folders=None):
    """Convert folders p0, p1, ...; those whose id is None hold NIfTI."""
    for number, name in enumerate(ids):
        folder = tmp_path / "src" / (folders[number] if folders else f"p{number}")
        if name is None:
            patient(folder, number)
        else:
            series(folder / "ct", number, key=f"{number}", tags={"PatientID": name})
            nifti(folder / "mask.nii.gz", labels())
    label_file(tmp_path / "labels.json")
    options = Options(labels=tmp_path / "labels.json", keep_names=True)
    return convert(tmp_path / "src", tmp_path / "raw", 660, options=options)


def held(report):
    return sorted(fold["val"] for fold in folds(report.dataset))


def test_a_shared_id_counts_where_other_patients_are_nifti(tmp_path):
    report = converted(tmp_path, ["SAME7", "SAME7", None, None])
    assert held(report) == [["p0", "p1"], ["p2"], ["p3"]]
    assert "folders that share a PatientID with another, kept in its fold: 1" in report.notes


def test_a_placeholder_does_not_join_patients_in_a_mixed_folder(tmp_path):
    report = converted(tmp_path, ["ANON", "ANON", None])
    assert held(report) == [["p0"], ["p1"], ["p2"]]
    assert any(note.startswith("2 folders have the same PatientID, a pl") for note in report.notes)


@pytest.mark.parametrize("pair", [("00123", "123"), ("AB-12", "ab 0012"), ("12-04-56", "120456")])
def test_ids_in_two_spellings_are_one_patient(tmp_path, pair):
    report = converted(tmp_path, [*pair, "9", None])
    assert held(report) == [["p0", "p1"], ["p2"], ["p3"]]
    note = next(note for note in report.notes if "differ only in spelling" in note)
    assert note.endswith("p0, p1")
    assert not any(name in str(report) for name in pair)


def test_folder_names_in_two_spellings_are_one_patient(tmp_path):
    report = converted(tmp_path, [None] * 3, ["00123", "123", "7"])
    assert held(report) == [["00123", "123"], ["7"]]


def test_folders_of_the_same_name_say_nothing():
    groups, notes = by_patient({"a": "CT", "b": "CT", "c": "ct"}, {})
    assert len(set(groups.values())) == 3
    assert not notes


def test_an_id_is_not_compared_with_a_folder_name():
    groups, _ = by_patient({"a": "1", "b": "2", "c": "3"}, {"a": "2", "b": "3", "c": "1"})
    assert len(set(groups.values())) == 3


@pytest.mark.parametrize(
    ("one", "two"), [("1-23", "12-3"), ("P1", "P11"), ("A1", "B1"), ("10", "100")]
)
def test_different_ids_stay_different(one, two):
    assert spelling(one) != spelling(two)


def test_signs_alone_do_not_identify():
    assert (spelling("--"), unbroken(" ")) == ("", "")


def test_a_folder_of_nifti_may_be_named_by_the_id_of_a_dicom_elsewhere(tmp_path):
    folders = ["00123", "follow-up", "p2", "p3"]
    report = converted(tmp_path, [None, "123", "9", None], folders)
    assert held(report) == [["00123", "follow-up"], ["p2"], ["p3"]]
    assert any("taken as one patient: 00123, follow-up" in note for note in report.notes)


def test_a_folder_with_an_id_of_its_own_may_be_named_like_another(tmp_path):
    report = converted(tmp_path, ["2", "3", "1"], ["1", "2", "3"])
    assert len(held(report)) == 3
