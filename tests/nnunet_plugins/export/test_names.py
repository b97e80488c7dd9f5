"""Names of labels in any script, and patients' names in any character set, read back by other programs."""

from __future__ import annotations

import json
import shutil
import subprocess
import warnings
from pathlib import Path

import highdicom
import pydicom
import pytest
import SimpleITK as sitk

from dataset_conversion.dicom.segmentation import read_segmentation
from dataset_conversion.io.label_maps import read_mask
from dataset_conversion.io.segments import PLAIN
from dataset_conversion.io.volumes import header_of
from nnunet_plugins.errors import UserError
from nnunet_plugins.export.names import clean_name
from nnunet_plugins.export.run import Request, export

from .exporting import patient, write_labels

FOREIGN = ["骶骨", "linkes Hüftbein", "Крестец"]


def named(root: Path, names: list[str], **how: object) -> tuple[Path, Path]:
    """A series and a label map with three labels of these names."""
    series, prediction, _ = patient(root, **how)
    labels = {"background": 0, **{name: value for value, name in enumerate(names, 1)}}
    write_labels(prediction.parent, "case1", sitk.ReadImage(str(prediction)), labels)
    return series, prediction


def written(root: Path, names: list[str], **how: object) -> tuple[Path, Path, tuple[str, ...]]:
    """The .seg.nrrd, the DICOM SEG, and the notes."""
    series, prediction = named(root, names, **how)
    (case,) = export(
        prediction, Request(("seg.nrrd", "dicom-seg", "stl"), root / "out", dicom=series)
    )
    return root / "out" / "case1.seg.nrrd", root / "out" / "case1_seg.dcm", case.notes


def names_in(seg: Path) -> list[str]:
    found = highdicom.seg.segread(seg)
    return [found.get_segment_description(i).segment_label for i in found.segment_numbers]


def complaints(seg: Path) -> list[str]:
    """Errors of dciodvfy (dicom3tools), if it is installed."""
    if shutil.which("dciodvfy") is None:
        return []
    done = subprocess.run(["dciodvfy", seg], capture_output=True, check=False)
    lines = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
    return [line for line in lines if line.startswith("Error")]


def test_foreign_names_are_read_back(tmp_path: Path) -> None:
    nrrd, dicom, _ = written(tmp_path, FOREIGN)
    assert list(read_mask(nrrd).segments or {}) == FOREIGN
    header = nrrd.read_bytes().partition(b"\n\n")[0].decode("utf-8")
    assert "Segment0_Name:=骶骨\n" in header
    assert pydicom.dcmread(dicom).SpecificCharacterSet == "ISO_IR 192"
    assert names_in(dicom) == FOREIGN
    grid = header_of(sitk.ReadImage(str(nrrd)))
    assert list(read_segmentation(dicom, grid, PLAIN).segments or {}) == FOREIGN
    assert complaints(dicom) == []
    assert {path.name for path in (tmp_path / "out").glob("*.stl")} == {
        "case1_骶骨.stl", "case1_linkes_Hüftbein.stl", "case1_Крестец.stl",
    }  # fmt: skip


def test_dcmqi_reads_foreign_names(tmp_path: Path) -> None:
    dcmqi = pytest.importorskip("dcmqi")
    _, dicom, _ = written(tmp_path, FOREIGN)
    (tmp_path / "read").mkdir()
    program = Path(dcmqi.__file__).parent / "bin" / "segimage2itkimage"
    folders = ["--inputDICOM", dicom, "--outputDirectory", tmp_path / "read"]
    command = [program, *folders, "--outputType", "nii"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    stored = json.loads((tmp_path / "read" / "meta.json").read_text(encoding="utf-8"))
    assert [one[0]["SegmentLabel"] for one in stored["segmentAttributes"]] == FOREIGN


def test_names_are_cleaned_with_a_note(tmp_path: Path) -> None:
    nrrd, dicom, notes = written(tmp_path, ["sacrum ", "left\\ilium", "a\nb\t c"])
    clean = ["sacrum", "left/ilium", "a b c"]
    assert list(read_mask(nrrd).segments or {}) == names_in(dicom) == clean
    assert complaints(dicom) == []
    (note,) = [note for note in notes if "cleaned" in note]
    assert "'sacrum ' as 'sacrum'" in note
    codes = [
        one.SegmentedPropertyTypeCodeSequence[0].CodeMeaning
        for one in pydicom.dcmread(dicom).SegmentSequence
    ]
    assert codes[:2] == ["Sacrum", "Ilium"]


def test_signs_of_the_formats_are_kept(tmp_path: Path) -> None:
    names = ["a|b~c^d", "x := 100 % & #1", '<b>"q"</b>']
    nrrd, dicom, _ = written(tmp_path, names)
    assert list(read_mask(nrrd).segments or {}) == names_in(dicom) == names


def test_long_names_are_cut_in_dicom_only(tmp_path: Path) -> None:
    names = ["x" * 65, "骨" * 100, "Ä" * 64]
    nrrd, dicom, notes = written(tmp_path, names)
    assert list(read_mask(nrrd).segments or {}) == names
    assert names_in(dicom) == ["x" * 64, "骨" * 21, "Ä" * 32]  # 64 bytes
    assert complaints(dicom) == []
    assert any("names are cut to 64 bytes" in note for note in notes)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["sacrum ", "sacrum", "b"], r"'sacrum ' and 'sacrum' are equal without blanks"),
        ([" ", "b", "c"], "the label name ' ' has no characters"),
        (["\ud800", "b", "c"], "half of a surrogate pair, which is not a character"),
        (["x" * 65, "x" * 66, "c"], r"are equal in the 64 bytes \(UTF-8\) that DICOM allows"),
    ],
)
def test_names_that_cannot_be_told_apart_are_errors(
    tmp_path: Path, names: list[str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        written(tmp_path, names)


def test_composed_and_invisible_characters() -> None:
    assert clean_name("e\u0301\u200b\u00ad") == "é"
    assert clean_name("\u200fعجز") == "عجز"
    assert clean_name("\u3000左\u00a0髂骨 ") == "左 髂骨"


def with_name(series: Path, stated: str | list[str] | None, stored: bytes) -> None:
    """Set the character set and the bytes of the patient's name in every file."""
    placeholder = b"@" * len(stored)
    for path in series.iterdir():
        item = pydicom.dcmread(path)
        item.PatientName = placeholder.decode()
        if stated is None:
            item.pop("SpecificCharacterSet", None)
        else:
            item.SpecificCharacterSet = stated
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            item.save_as(path)
        path.write_bytes(path.read_bytes().replace(placeholder, stored))


JAPANESE = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"
CHINESE = b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab"


@pytest.mark.parametrize(
    ("stated", "stored", "name", "note"),
    [
        (["", "ISO 2022 IR 87"], JAPANESE, "Yamada^Tarou=山田^太郎=やまだ^たろう", ""),
        (["", "ISO 2022 IR 149"], b"Hong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7", "Hong=洪^吉洞", ""),
        (["", "ISO 2022 IR 58"], CHINESE, "Zhang^XiaoDong=张^小东", ""),
        ("GB18030", "王^小东".encode("gb18030"), "王^小东", ""),
        ("ISO_IR 100", "Müller^Jürgen".encode("latin-1"), "Müller^Jürgen", ""),
        ("ISO_IR 101", "Łukasz^Żak".encode("iso8859-2"), "Łukasz^Żak", ""),
        ("ISO_IR 144", "Иванов^Пётр".encode("iso8859-5"), "Иванов^Пётр", ""),
        ("ISO_IR 192", "王^小东".encode(), "王^小东", ""),
        (None, "王^小东".encode(), "王^小东", "no SpecificCharacterSet; read as UTF-8: PatientName"),
        ("ISO_IR 6", "Müller".encode(), "Müller", "'ISO_IR 6'; read as UTF-8: PatientName"),
        (None, "王".encode("gb18030"), "Íõ", "no SpecificCharacterSet, so letters other than ASCII"),
        ("ISO_IR 999", "Müller".encode("latin-1"), "Müller", "'ISO_IR 999', so letters other than"),
        ("ISO_IR 192", b"M\xfcller", "M\ufffdller", "other letters in PatientName, which are replaced by"),
    ],
)  # fmt: skip
def test_the_patients_name_is_carried_in_any_character_set(
    tmp_path: Path, stated: str | list[str] | None, stored: bytes, name: str, note: str
) -> None:
    series, prediction = named(tmp_path, FOREIGN)
    with_name(series, stated, stored)
    (case,) = export(prediction, Request(("dicom-seg",), tmp_path / "out", dicom=series))
    found = pydicom.dcmread(case.files[0])
    assert str(found.PatientName) == name
    assert names_in(case.files[0]) == FOREIGN
    assert not any(part in " ".join(case.notes) for part in name.replace("=", "^").split("^"))
    about = [one for one in case.notes if "PatientName" in one]
    assert len(about) == bool(note)
    assert note in "".join(about)
    assert complaints(case.files[0]) == []
