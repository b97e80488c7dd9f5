"""Which cases are of one patient: from a table or a converted dataset; the numbers are stored, not the names."""

import json

import pytest

from nnunet_plugins.cli import main
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation import evaluate, score_table
from nnunet_plugins.evaluation.patients import find_patients, patients_of
from nnunet_plugins.evaluation.saved import read_scores

CASES = ["a1", "a2", "b1"]


@pytest.fixture
def folders(tmp_path, save, spine):
    for folder in ("raw/labelsTr", "p"):
        for case in CASES:
            save(tmp_path / folder / f"{case}.nii.gz", spine)
    return tmp_path / "p", tmp_path / "raw" / "labelsTr"


def table(folder, *rows):
    path = folder / "groups.csv"
    path.write_text("\n".join(["case,patient", *rows]), encoding="utf-8")
    return path


def record(folder, patients):
    (folder / "conversion.json").write_text(json.dumps({"patients": patients}))


@pytest.mark.parametrize(
    "rows",
    [
        ("a1,Anna Berg", "a2,anna berg", "b1,Bert"),
        ("a1.nii.gz,007", "a2.nii.gz,7", "b1.nii.gz,70"),
        ("A1,x", "a_2,x", "B 01,y"),
        ("a1,7", "a2,7.0", "b1,70"),
    ],
    ids=["names", "files", "spelling", "numbers of a data frame"],
)
def test_a_table_groups_cases(folders, tmp_path, rows):
    scores = evaluate(*folders, groups=table(tmp_path, *rows), output=tmp_path / "s.json")
    assert patients_of(scores) == {"a1": 1, "a2": 1, "b1": 2}
    assert "3 cases of 2 patients, 3 labels" in score_table(scores)
    assert patients_of(read_scores(tmp_path / "s.json")) == patients_of(scores)
    assert "berg" not in (tmp_path / "s.json").read_text().lower()


@pytest.mark.parametrize("where", ["raw", "raw/labelsTr"])
def test_a_converted_dataset_knows_its_patients(folders, tmp_path, where):
    record(tmp_path / where, {"a1": 4, "a2": 4, "b1": 9, "other": 1})
    assert patients_of(evaluate(*folders)) == {"a1": 1, "a2": 1, "b1": 2}
    # A table has priority.
    groups = table(tmp_path, "a1,1", "a2,2", "b1,3")
    scores = evaluate(*folders, groups=groups)
    assert len(set(patients_of(scores).values())) == 3
    assert "3 cases, 3 labels" in score_table(scores)


def test_nnunets_copy_of_the_references_is_that_of_the_raw_dataset(
    tmp_path, save, spine, monkeypatch
):
    folder = tmp_path / "preprocessed" / "Dataset001_A" / "gt_segmentations"
    save(folder / "a1.nii.gz", spine)
    (tmp_path / "raw" / "Dataset001_A").mkdir(parents=True)
    record(tmp_path / "raw" / "Dataset001_A", {"a1": 3})
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    assert find_patients(["a1"], folder, None) == ({"a1": 1}, [])


def test_patients_that_are_not_known(folders, tmp_path):
    scores = evaluate(*folders)
    assert patients_of(scores) == {}
    assert [case.patient for case in scores.cases] == [None] * 3
    record(tmp_path / "raw", {"a1": 1, "a2": 1})
    scores = evaluate(*folders)
    assert patients_of(scores) == {}
    assert scores.notes[-1].startswith(
        "the patients of 1 of 3 cases are not in conversion.json: every case counts as another"
    )


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        (("a1,x", "b1,y"), r"groups\.csv: 1 of 3 cases are not in the table: a2; add a row"),
        (("a1,x", "a1.nii.gz,y", "a2,x", "b1,y"), r"a1\.nii\.gz has a second patient"),
        (("a1,x", "a2,", "b1,y"), "row 3 has 1 filled cells"),
        ((), "no row below its header"),
    ],
    ids=["missing", "two patients", "incomplete", "empty"],
)
def test_a_table_that_cannot_be_used(folders, tmp_path, rows, match):
    with pytest.raises(UserError, match=match):
        evaluate(*folders, groups=table(tmp_path, *rows))
    with pytest.raises(UserError, match="cannot be read"):
        evaluate(*folders, groups=tmp_path / "no.csv")


def test_the_command_takes_a_table(folders, tmp_path, capsys):
    groups = table(tmp_path, "a1,x", "a2,x", "b1,y")
    assert main(["evaluate", *map(str, folders), "--groups", str(groups), "-j", "1"]) == 0
    assert "3 cases of 2 patients" in capsys.readouterr().out
