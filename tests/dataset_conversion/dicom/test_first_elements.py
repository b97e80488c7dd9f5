"""The first elements of a file are those that pydicom reads, or are left to it."""

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from dataset_conversion.dicom.first_elements import first_elements
from dataset_conversion.dicom.mask_objects import role_of
from tests.dataset_conversion.making import series

TAGS = [Tag(name) for name in ("SOPClassUID", "Modality", "SeriesDescription")]


def changed(folder, **fields):
    path = series(folder)[0]
    data = pydicom.dcmread(path)
    for name, value in fields.items():
        setattr(data, name, value)
    data.save_as(path)
    return path


def by_pydicom(path):
    data = pydicom.dcmread(path)
    return {tag: str(data[tag].value) for tag in TAGS if tag in data}


def sequence(**fields):
    item = Dataset()
    for name, value in fields.items():
        setattr(item, name, value)
    return Sequence([item])


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"SeriesDescription": "odd"},
        {"SeriesDescription": ""},
        {"SourceImageSequence": sequence(Modality="SEG", SeriesDescription="inner")},
        {"ProcedureCodeSequence": sequence(CodeValue="1", CodeMeaning="Modality SEG")},
    ],
)
def test_the_same_elements_as_the_library(tmp_path, fields):
    path = changed(tmp_path, **fields)
    assert first_elements(path, TAGS) == by_pydicom(path)


def test_a_missing_element_is_left_out(tmp_path):
    path = series(tmp_path, tags={"Modality": None})[0]
    assert list(first_elements(path, TAGS)) == [TAGS[0], TAGS[2]]


def test_other_encodings_are_left_to_the_library(tmp_path):
    umlaut = changed(tmp_path / "text", SeriesDescription="Hüfte")
    assert first_elements(umlaut, TAGS) is None
    long = changed(tmp_path / "long", ProcedureCodeSequence=sequence(CodeMeaning="x" * 60))
    assert first_elements(long, TAGS) is not None
    data = pydicom.dcmread(long)
    data.ProcedureCodeSequence = Sequence(list(data.ProcedureCodeSequence) * 99)
    data.save_as(long)
    assert first_elements(long, TAGS) is None
    bare = series(tmp_path / "bare", preamble=False)[0]
    assert first_elements(bare, TAGS) is None
    for path in (umlaut, long, bare):
        assert role_of(path).description == str(pydicom.dcmread(path, force=True).SeriesDescription)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_other_syntaxes_are_left_to_the_library(tmp_path, syntax):
    path = series(tmp_path)[0]
    data = pydicom.dcmread(path)
    if not syntax.is_little_endian:
        data.PixelData = data.pixel_array.astype(">u2").tobytes()
    data.file_meta.TransferSyntaxUID = syntax
    pydicom.dcmwrite(path, data, implicit_vr=syntax.is_implicit_VR,
                     little_endian=syntax.is_little_endian)  # fmt: skip
    assert first_elements(path, TAGS) is None
    assert role_of(path).description == "Pelvis 1.5 bone"


def test_a_file_that_ends_early_is_left_to_the_library(tmp_path):
    path = series(tmp_path)[0]
    for size in (0, 100, 140, 300, 420):
        short = tmp_path / f"short{size}"
        short.write_bytes(path.read_bytes()[:size])
        assert first_elements(short, TAGS) is None
