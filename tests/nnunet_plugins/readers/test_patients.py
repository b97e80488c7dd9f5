"""Cases of one patient count together in all parts of a study, or the study is refused."""

from __future__ import annotations

import json
import shutil

import pytest

from nnunet_plugins.errors import UserError
from nnunet_plugins.readers.files import Files, find_files
from nnunet_plugins.readers.study import Choices, analyse_study
from tests.nnunet_plugins.readers.studies import (
    Study,
    name,
    rows,
    truth,
    write_csv,
    write_masks,
    write_tables,
)

STUDY = Study(cases=6)


def patients(of=lambda case: f"P{case // 2}"):
    return [row | {"patient": of(case)} for case, row in enumerate(truth(STUDY))]


def analyse(folder):
    return analyse_study(find_files(folder, Files()), Choices(positive="axSpA"))


def pairs(study, table):
    """Patients in the tests of the change of a measure."""
    return {
        one.better + one.worse
        for one in study.findings
        if one.table == table and one.arm == "assisted - alone"
    }


@pytest.mark.integration
def test_masks_of_a_case_without_a_patient_are_refused(tmp_path):
    write_masks(tmp_path)
    write_csv(tmp_path / "reads.csv", rows(STUDY))
    write_csv(tmp_path / "truth.csv", patients())
    assert pairs(analyse(tmp_path), "masks, alone against assisted") == {3}
    for path in [*tmp_path.rglob("case_05.nii.gz")]:
        shutil.copy(path, path.with_name("case_06.nii.gz"))
    with pytest.raises(UserError, match=r"patients of 1 cases are not known.*: case_06; add"):
        analyse(tmp_path)


def test_a_read_without_a_patient_is_refused(tmp_path):
    extra = {**rows(STUDY)[0], "case": "extra", "call": "", "confidence": ""}
    write_csv(tmp_path / "reads.csv", [*rows(STUDY), extra])
    write_csv(tmp_path / "truth.csv", patients())
    with pytest.raises(UserError, match=r"patients of 1 cases are not known.*: extra; add"):
        analyse(tmp_path)


@pytest.mark.parametrize("known", [6, 5])
def test_reads_have_the_patients_that_a_converted_dataset_records(tmp_path, known):
    write_tables(tmp_path, STUDY)
    record = {"format": 4, "patients": {name(case): case // 2 for case in range(known)}}
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "conversion.json").write_text(json.dumps(record), encoding="utf-8")
    study = analyse(tmp_path)
    assert study.reads.clustered is (known == 6)
    unknown = "table of reads: the patients of 1 of 6 cases are not in conversion.json"
    assert any(note.startswith(unknown) for note in study.notes) is (known == 5)


def test_patients_are_compared_by_spelling(tmp_path):
    write_csv(tmp_path / "reads.csv", rows(STUDY))
    write_csv(
        tmp_path / "truth.csv", patients(lambda case: ["P-01", "p_1", "P 001", "7"][case % 4])
    )
    study = analyse(tmp_path)
    assert study.reads.clustered
    assert len(set(study.reads.patients.values())) == 2


@pytest.mark.parametrize("text", ["", "NA", "Unknown"])
def test_a_patient_that_is_not_known_is_refused(tmp_path, text):
    write_csv(tmp_path / "reads.csv", rows(STUDY))
    write_csv(tmp_path / "truth.csv", patients(lambda case: text if case == 3 else f"P{case}"))
    with pytest.raises(UserError, match=f"row 5, patient is '{text}'; expected a patient"):
        analyse(tmp_path)
