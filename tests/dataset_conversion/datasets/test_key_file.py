"""The key file: nothing but this dataset's own key is ever replaced, and only its owner can read it."""

import csv
import os
import stat

import pytest

from dataset_conversion.datasets.hospital_ct import Options, convert
from dataset_conversion.errors import DatasetError
from tests.dataset_conversion.datasets.hospital import NAME
from tests.dataset_conversion.making import patient, tree

pytestmark = pytest.mark.usefixtures("no_picture")


def run(source, raw, key, number=660, **how):
    options = Options(labels=source.parent / "labels.json", key=key, **how)
    return convert(source, raw, number, options=options)


def rows(key):
    return list(csv.DictReader(key.open(newline="")))


@pytest.mark.parametrize(
    "content",
    [b"", b'{"sacrum": 1}', bytes(range(256)), b"case,patient\na,b\n", b"case,source\nunbalanced\n",
     b"case,source\n" + b"x" * 200_000 + b",\n"],
)  # fmt: skip
def test_other_files_are_not_overwritten(source, tmp_path, content):
    other = tmp_path / "other"
    other.write_bytes(content)
    with pytest.raises(DatasetError, match=r"other: exists and is not a key"):
        run(source, tmp_path / "raw", other)
    assert other.read_bytes() == content
    assert not (tmp_path / "raw").exists()


def test_the_labels_file_a_source_and_the_salt_are_not_overwritten(source, tmp_path):
    salt = tmp_path / "salt"
    salt.write_bytes(bytes(range(32)))
    before = tree(tmp_path)
    for key in (tmp_path / "labels.json", source / "p0" / "ct.nii.gz", salt):
        with pytest.raises(DatasetError, match="not a key"):
            run(source, tmp_path / "raw", key, salt=salt)
    assert tree(tmp_path) == before


def test_the_key_of_another_dataset_is_not_overwritten(source, tmp_path):
    key = tmp_path / "key.csv"
    run(source, tmp_path / "raw", key)
    before = key.read_bytes()
    with pytest.raises(DatasetError, match=rf"is the key of {NAME}, not of Dataset661"):
        run(source, tmp_path / "raw", key, 661)
    patient(tmp_path / "others" / "q", 7)
    with pytest.raises(DatasetError, match=r"lists .* and would be lost"):
        convert(tmp_path / "others", tmp_path / "raw2", 660,
                options=Options(labels=tmp_path / "labels.json", key=key))  # fmt: skip
    assert key.read_bytes() == before
    assert not (tmp_path / "raw2").exists()


def test_the_own_key_is_brought_up_to_date(source, tmp_path):
    key = tmp_path / "key.csv"
    run(source, tmp_path / "raw", key)
    patient(source / "p7", 7)
    run(source, tmp_path / "raw", key)
    assert [set(row) for row in rows(key)] == [{"case", "source", "dataset"}] * 3
    assert {row["dataset"] for row in rows(key)} == {NAME}


@pytest.mark.parametrize(
    "save", [lambda text: text, lambda text: "\ufeff" + text.replace(",", ";")]
)
def test_a_key_of_the_first_version_is_known_by_its_cases(source, tmp_path, save):
    key = tmp_path / "key.csv"
    run(source, tmp_path / "raw", key)
    old = "".join(f"{row['case']},{row['source']}\n" for row in rows(key))
    key.write_text(save("case,source\n" + old), encoding="utf-8")
    run(source, tmp_path / "raw", key)
    assert {row["dataset"] for row in rows(key)} == {NAME}


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_only_the_owner_can_read_the_key(source, tmp_path):
    old = os.umask(0)
    try:
        for _ in range(2):
            run(source, tmp_path / "raw", tmp_path / "key.csv")
            assert stat.S_IMODE((tmp_path / "key.csv").stat().st_mode) == 0o600
    finally:
        os.umask(old)
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".tmp")]


def test_a_key_is_never_inside_a_dataset_or_a_pipe(source, tmp_path):
    (tmp_path / "Dataset003_Other").mkdir()
    with pytest.raises(DatasetError, match=r"the key is inside the dataset .*Dataset003_Other"):
        run(source, tmp_path / "raw", tmp_path / "Dataset003_Other" / "key.csv")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(DatasetError, match="is not a regular file"):
            run(source, tmp_path / "raw", tmp_path / "pipe")


def test_a_kept_case_keeps_its_row(source, tmp_path):
    """A source that is damaged later has a problem, and its case stays in dataset and key."""
    patient(source / "p2", 2)
    key = tmp_path / "key.csv"
    run(source, tmp_path / "raw", key)
    whole = (source / "p2" / "ct.nii.gz").read_bytes()
    (source / "p2" / "ct.nii.gz").write_bytes(whole[:200])
    report = run(source, tmp_path / "raw", key, keep_going=True)
    assert len(report.problems) == 1
    assert len(rows(key)) == 3
    assert str(source / "p2") in [row["source"] for row in rows(key)]
