"""Names of folders as case ids: every name that cannot be written is reported before anything is."""

from pathlib import Path

import pytest

from dataset_conversion.cases.case import Case, Sample
from dataset_conversion.datasets.case_ids import LONGEST, folder_id
from dataset_conversion.datasets.hospital_ct import Options, convert
from dataset_conversion.datasets.key_file import sources_of, write_key
from dataset_conversion.errors import DatasetError
from tests.dataset_conversion.making import patient

pytestmark = pytest.mark.usefixtures("no_picture")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x" * 240, r"x{240}: its name has 240 characters, a case id at most 200"),
        ("患者 一", "患者 一: its name has no character that a case id allows"),
        ("CON", "CON: Windows reserves the name CON"),
        ("nul", "nul: Windows reserves the name nul"),
        (" Com1 ", "Windows reserves the name Com1"),
        ("___", "no character that a case id allows"),
    ],
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_names_that_cannot_be_written_are_reported_first(source, tmp_path, name, message, dry_run):
    patient(source / name, 7)
    options = Options(labels=tmp_path / "labels.json", keep_names=True, dry_run=dry_run)
    if dry_run:
        report = convert(source, tmp_path / "raw", 660, options=options)
        with pytest.raises(DatasetError, match=message):
            raise DatasetError(*report.problems)
    else:
        with pytest.raises(DatasetError, match=message):
            convert(source, tmp_path / "raw", 660, options=options)
    assert not (tmp_path / "raw").exists()
    options = Options(labels=tmp_path / "labels.json")
    assert convert(source, tmp_path / "raw", 660, options=options).written == 3


def test_the_longest_name_is_written(source, tmp_path):
    (source / "p0").rename(source / ("y" * LONGEST))
    options = Options(labels=tmp_path / "labels.json", keep_names=True)
    assert "y" * LONGEST in convert(source, tmp_path / "raw", 660, options=options).cases


@pytest.mark.parametrize("name", ["CONTROL", "COM1_a", "NUL-2"])
def test_names_that_only_begin_like_a_reserved_one(name):
    assert folder_id(Path("scans") / name) == name


def test_the_key_names_the_first_of_several_images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("t1.mha", "t2.mha", "Tom and Jerry.mha"):
        (tmp_path / name).touch()
    places = {"a": "t1.mha and t2.mha", "b": "Tom and Jerry.mha", "c": "gone"}
    cases = [Case(name, name, where, {}, True, 1, Sample) for name, where in places.items()]
    write_key(tmp_path / "key.csv", sources_of(cases, {"a", "b", "c"}))
    assert (tmp_path / "key.csv").read_text().splitlines()[1:] == [
        f"a,{tmp_path / 't1.mha'}",
        f"b,{tmp_path / 'Tom and Jerry.mha'}",
        "c,gone",
    ]
