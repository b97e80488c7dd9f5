"""Sources that block, confuse or flood a conversion: one patient's problem, never the whole conversion's."""

import gzip
import os
import struct
import sys

import pytest

from dataset_conversion.datasets.hospital_ct import Options, convert
from dataset_conversion.errors import DatasetError
from nnunet_plugins.cli import main
from tests.dataset_conversion.datasets.hospital import run
from tests.dataset_conversion.making import labels, nifti, patient, series

pytestmark = pytest.mark.usefixtures("no_picture")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX only")
def test_pipes_and_devices_are_passed_over_with_a_note(source, tmp_path):
    os.mkfifo(source / "p0" / "pipe")
    os.mkfifo(source / "ct.nii.gz")
    os.mkfifo(source / "p1" / "other.dcm")
    (source / "p1" / "null").symlink_to(os.devnull)
    report = run(source, tmp_path / "raw")
    assert report.written == 2
    assert "pipes, sockets and devices in the source were passed over: 4" in report.notes


def test_a_header_of_many_terabytes_stops_one_patient(source, tmp_path):
    patient(source / "p7", 7)
    path = source / "p7" / "ct.nii.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    struct.pack_into("<8h", content, 40, 3, 30000, 30000, 30000, 1, 1, 1, 1)
    path.write_bytes(gzip.compress(content))
    report = run(source, tmp_path / "raw", keep_going=True)
    assert report.written == 2
    assert "p7/ct.nii.gz: is truncated or damaged: its header promises" in report.problems[0]


def test_deeply_nested_folders_give_one_message(source, tmp_path):
    source.joinpath("p1", *["d"] * 200).mkdir(parents=True)  # pytest cannot remove many more
    report = run(source, tmp_path / "raw", keep_going=True)
    assert report.written == 1
    assert "folders in it are nested more than 60 deep" in report.problems[0]
    assert len(report.problems[0]) < 1000


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux only")
@pytest.mark.parametrize("file", [False, True])
def test_a_name_that_is_not_utf8_is_shown_escaped(source, tmp_path, capsys, file):
    where = source / "p1" / "ct.nii.gz" if file else source / "p1"
    os.rename(where, os.fsencode(where.parent) + b"/M\xfcller.nii.gz")
    arguments = ["convert", "hospital-ct", str(source), "-d", "660", "-o", str(tmp_path / "raw"),
                 "--labels", str(tmp_path / "labels.json")]  # fmt: skip
    assert main(arguments) == 2
    assert r"M\xfcller.nii.gz: its name is not UTF-8" in capsys.readouterr().err
    assert main([*arguments, "--keep-going"]) == 1
    out = capsys.readouterr().out
    assert r"M\xfcller.nii.gz: its name is not UTF-8" in out
    assert "1 case converted, 0 unchanged, 1 left out" in out


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux only")
def test_an_output_that_is_not_utf8_stops(source, tmp_path):
    raw = tmp_path / os.fsdecode(b"r\xfc")
    with pytest.raises(DatasetError, match=r"r\\xfc: its name is not UTF-8"):
        run(source, raw)


@pytest.mark.skipif(os.name != "posix", reason="Windows forbids such names")
def test_names_do_not_control_the_terminal(source, tmp_path, capsys):
    (source / "p1").rename(source / "x\x1b[31mred\x07")
    nifti(source / "x\x1b[31mred\x07" / "mask.nii.gz", labels(values=(9,)))
    assert main(["convert", "hospital-ct", str(source), "-d", "660", "-o", str(tmp_path / "raw"),
                 "--labels", str(tmp_path / "labels.json")]) == 2  # fmt: skip
    shown = capsys.readouterr().err
    assert "\x1b" not in shown
    assert r"x\x1b[31mred\x07: label values [9]" in shown


@pytest.mark.parametrize("name", ["ct.nii.gz", "mask.nii.gz"])
def test_a_file_that_changes_during_the_conversion_is_an_error(source, tmp_path, name):
    calls = []

    def change(items):
        calls.append(None)
        if len(calls) == 2:  # after the scan
            path = source / "p1" / name
            patient(tmp_path / "other" / "q", 9, mask=labels(values=(2, 1)))
            path.write_bytes((tmp_path / "other" / "q" / name).read_bytes())
        return items

    options = Options(labels=tmp_path / "labels.json", keep_going=True)
    report = convert(source, tmp_path / "raw", 660, options=options, progress=change)
    assert report.written == 1
    assert f"p1/{name}: changed during the conversion" in report.problems[0]
    assert run(source, tmp_path / "raw").written == 1


def dicom_source(tmp_path, **tags):
    series(tmp_path / "src" / "p" / "ct", 1, tags=tags)
    nifti(tmp_path / "src" / "p" / "mask.nii.gz", labels())
    patient(tmp_path / "src" / "q", 2)
    (tmp_path / "labels.json").write_text('{"sacrum": 1, "left ilium": 2}')
    return tmp_path / "src"


def test_burned_in_text_is_noted(tmp_path):
    report = run(dicom_source(tmp_path, BurnedInAnnotation="YES"), tmp_path / "raw")
    assert sum("BurnedInAnnotation is YES" in note for note in report.notes) == 1


def test_a_free_text_as_modality_is_not_shown(tmp_path):
    source = dicom_source(tmp_path, Modality="CT of Jane Doe")
    with pytest.raises(DatasetError, match="DICOM Modality is a free text, expected CT") as caught:
        run(source, tmp_path / "raw")
    assert "Doe" not in str(caught.value)
    assert run(source, tmp_path / "raw", modality="any").written == 2
    with pytest.raises(DatasetError, match="is not a DICOM code"):
        run(source, tmp_path / "raw2", modality="CT of Jane Doe")
