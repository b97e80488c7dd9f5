"""The table of patient groups: its forms, its errors, and that no patient is in two folds."""

import json

import pytest

from dataset_conversion.datasets import csig as csig_module
from dataset_conversion.datasets import spider as spider_module
from dataset_conversion.datasets.groups import read_groups
from dataset_conversion.datasets.hospital_ct import Options, convert
from dataset_conversion.errors import DatasetError
from tests.dataset_conversion.datasets import hospital
from tests.dataset_conversion.datasets.comparing import folds
from tests.dataset_conversion.making import label_file, labels, nifti, patient, series

pytestmark = pytest.mark.usefixtures("no_picture")


@pytest.fixture
def four(tmp_path):
    """Four NIfTI patients p0 to p3 of one scan each."""
    for number in range(4):
        patient(tmp_path / "src" / f"p{number}", number)
    label_file(tmp_path / "labels.json")
    return tmp_path / "src"


def run(source, table, **how):
    path = source.parent / "groups.csv"
    path.write_bytes(table if isinstance(table, bytes) else table.encode())
    return hospital.run(source, keep_names=True, groups=path, **how)


ROWS = "p0,A\np1,B\np2,A\np3,C\n"


@pytest.mark.parametrize(
    "table",
    [
        "folder,patient\n" + ROWS,
        b"\xef\xbb\xbf" + ("Folder,Patient ID\n" + ROWS).encode(),
        ("case;patient_id\n" + ROWS.replace(",", ";")).encode("utf-16"),
        "sep=;\r\nfile;note;patient\r\n" + "".join(
            f"{f};x;{p}\r\n" for f, p in [("p0", "A"), ("p1", "B"), ("p2", "A"), ("p3", "C")]),
        '"id","subject"\n"p0","Mustermann, A"\np1,B\n"P2","Mustermann, A"\n\np03,C\n',
        "folder\tgroup\n" + ROWS.replace(",", "\t"),
        ("folder,patient\n" + ROWS.replace(",A", ",Jürgen")).encode("cp1252"),
        "folder,patient\n" + ROWS.replace("p0,A", "p0,007").replace("p2,A", "p2,7"),
        "folder,patient\n" + ROWS.replace("p0,A", "p0,7.0").replace("p2,A", "p2,7"),
        "folder,patient\r" + ROWS.replace("\n", "\r"),
        "folder,patient,note\n" + ROWS,
        "folder,patient\n" + ROWS.replace("\n", ",,\n"),
        "folder,patient\n" + ROWS.replace(",", "/,"),
        "path;folder;patient\n" + "".join(rf"x;src\{row}" "\n" for row in ROWS.replace(",", ";").split()),
        "file,patient\n" + ROWS.replace(",", "/ct.nii.gz,"),
        "file,patient\n" + ROWS.replace(",", "_0000.nii.gz,"),
    ],
    ids=["plain", "BOM", "UTF-16", "Excel", "quoted", "tab", "Windows", "zeros", "decimals", "old Mac",
         "short rows", "long rows", "slash", "backslash", "files inside", "files of a raw dataset"],
)  # fmt: skip
def test_follow_ups_stay_in_one_fold(four, table):
    report = run(four, table)
    assert report.patients == 3
    assert ["p0", "p2"] in [fold["val"] for fold in folds(report.dataset)]
    manifest = (report.dataset / "conversion.json").read_text()
    assert json.loads(manifest)["patients"] == {"p0": 1, "p1": 2, "p2": 1, "p3": 3}
    assert "Mustermann" not in manifest + str(report)


def test_rows_of_absolute_paths_name_cases(four):
    rows = "".join(f"{four / row}\n" for row in ROWS.split())
    assert run(four, "folder,patient\n" + rows).patients == 3


def test_another_table_changes_the_folds_without_converting_again(four):
    run(four, "folder,patient\n" + ROWS)
    report = run(four, "folder,patient\np0,A\np1,A\np2,B\np3,C\n")
    assert (report.written, report.skipped) == (0, 4)
    assert ["p0", "p1"] in [fold["val"] for fold in folds(report.dataset)]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "the table is empty"),
        ("folder,patient\n", "no row below its header"),
        ("p0,A\np1,B\n", "of the 2 columns, the first row names none that is known; required are"),
        ("folder,file\n" + ROWS, "the first row names folder; required"),
        ("folder,patient\np0,A\np1,\n", "row 3 has 1 filled cells of 2"),
        ("folder,patient\n" + ROWS + "p0,B\n", "row 6 gives p0 a second patient"),
        ("folder,patient\np0,A\np1,B\np4,C\n", r"2 of 4 cases.*p2, .*p3 \(rows that name no case: p4\)"),
        (b"PK\x03\x04", "is a spreadsheet"),
        ("folder,patient\n" + ROWS + "P0,D\n", "rows of different patients name the same case: .*p0"),
        ("folder,patient\n" + ROWS.replace("p1,B", "p1,n/a"), "row 3 states no patient .'n/a'.; give"),
        ("folder,patient\n" + ROWS.replace("p1,B", "p1,-"), "row 3 states no patient .'-'.; give"),
        ("folder,patient\np0,Doe, John\n", "row 2 has 3 filled cells of 2"),
    ],
)  # fmt: skip
def test_an_incomplete_table_stops_before_writing(four, table, message):
    with pytest.raises(DatasetError, match=message):
        run(four, table)
    assert not (four.parent / "raw").exists()


def test_a_missing_table_stops(four):
    options = Options(groups=four.parent / "none.csv")
    with pytest.raises(DatasetError, match=r"none.csv: the table of groups cannot be read"):
        convert(four, four.parent / "raw", 660, options=options)


def test_rows_of_other_patients_are_counted(four):
    report = run(four, "folder,patient\n" + ROWS + "elsewhere,D\n")
    assert "rows of --groups that name no case here: 1" in report.notes


def test_a_patient_id_is_never_divided_by_the_table(tmp_path):
    for number, name in enumerate(["A", "B", "A", "C"]):
        series(tmp_path / "src" / f"p{number}" / "ct", number, key=f"{number}",
               tags={"PatientID": name})  # fmt: skip
        nifti(tmp_path / "src" / f"p{number}" / "mask.nii.gz", labels())
    label_file(tmp_path / "labels.json")
    report = run(tmp_path / "src", "folder,patient\np0,1\np1,2\np2,3\np3,4\n")
    assert report.patients == 3
    assert any(
        "different patients in --groups, kept in one fold: p0, p2" in n for n in report.notes
    )


def test_spider_and_csig_take_the_table(spider, csig, tmp_path):
    table = tmp_path / "groups.csv"
    table.write_text("patient,file\nx,1\nx,2_t1.mha\nx,2_t2\nx,2_t2_SPACE\ny,4\nz,5\n")
    options = spider_module.Options(groups=table)
    assert spider_module.convert(spider[0], tmp_path, 661, options=options).patients == 3
    table.write_text("patient;case\na;1\na;case2\nb;Case3.nii.gz\nc;train/MR/Case4.nii.gz\n")
    options = csig_module.Options(groups=table)
    assert csig_module.convert(csig[0], tmp_path, 662, options=options).patients == 3


def test_two_rows_of_different_patients_for_one_case_stop(csig, tmp_path):
    table = tmp_path / "groups.csv"
    table.write_text("case,patient\n1,a\ncase2,a\n3,b\nCase3.nii.gz,c\n4,d\n")
    with pytest.raises(DatasetError, match=r"different patients name the same case: .*Case3"):
        csig_module.convert(csig[0], tmp_path, 662, options=csig_module.Options(groups=table))


def test_the_columns_case_and_patient_of_a_public_table_are_read(tmp_path):
    path = tmp_path / "groups.csv"
    path.write_text("case,patient\nhippocampus_001,1\nhippocampus_003,2\nhippocampus_004,2\n")
    assert read_groups(path)["hippocampus_004"] == "2"
