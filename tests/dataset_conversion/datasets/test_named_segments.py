"""Segments that are named after their patient are noted, and their names reach no output."""

import pytest

from dataset_conversion.datasets.named_segments import NOTE
from dataset_conversion.errors import DatasetError
from dataset_conversion.phantoms.structure_set import write_structure_set
from tests.dataset_conversion.datasets import hospital
from tests.dataset_conversion.making import (
    AFFINE,
    ct,
    label_file,
    labels,
    nifti,
    series,
    slicer,
    tree,
)
from tests.dataset_conversion.segmentations import write_seg

pytestmark = pytest.mark.usefixtures("no_picture")
LEFT = ("left ilium", 0, 2)
NAMED = "Mueller Sacrum"


@pytest.fixture
def source(tmp_path):
    """Two patients of 3D Slicer, the first in a folder of its name."""
    label_file(tmp_path / "labels.json")
    for number, (name, sacrum) in enumerate([("mueller_anna", NAMED), ("p1", "sacrum")]):
        nifti(tmp_path / "src" / name / "ct.nii.gz", ct(number))
        slicer(tmp_path / "src" / name / "m.seg.nrrd", labels(), [(sacrum, 0, 1), LEFT])
    return tmp_path / "src"


def run(source, **how):
    report = hospital.run(source, **{"labels": None, **how})
    written = tree(source.parent / "raw")
    assert not [name for name, content in written.items() if b"mueller" in content.lower()]
    return [note for note in report.notes if NOTE in note]


@pytest.mark.parametrize("listed", [True, False])
def test_a_segment_with_the_name_of_its_folder_is_noted(source, listed):
    how = {"labels": source.parent / "labels.json"} if listed else {}
    assert len(run(source, rename=(f"{NAMED}=sacrum",), **how)) == 1


def test_it_never_becomes_a_label(source):
    with pytest.raises(
        DatasetError, match=rf"mueller_anna: the name of the segment '{NAMED}' holds"
    ):
        run(source)
    assert not (source.parent / "raw").exists()


def test_the_note_on_overlaps_names_labels(source):
    layers = labels(values=(1,))[..., None].repeat(2, axis=3)
    slicer(source / "mueller_anna" / "m.seg.nrrd", layers, [(NAMED, 0, 1), ("left ilium", 1, 1)])
    run(source, rename=(f"{NAMED}=sacrum",), overlaps="first")


@pytest.mark.parametrize("kind", ["SEG", "RTSTRUCT"])
def test_patient_names_in_dicom_are_compared(source, kind):
    folder = source / "p1"
    for path in folder.iterdir():
        path.unlink()
    (source / "mueller_anna").rename(source / "p0")
    (source / "p0" / "m.seg.nrrd").unlink()
    tags = {"PatientName": "Mueller^Anna", "PatientID": "77"}
    slices = series(folder / "ct", 3, tags=tags)
    parts = {NAMED: labels() == 1, "left ilium": labels() == 2}
    if kind == "SEG":
        write_seg(folder / "seg.dcm", parts, slices)
    else:
        write_structure_set(folder / "rs.dcm", parts, slices, AFFINE)
    assert len(run(source, rename=(f"{NAMED}=sacrum",))) == 1


@pytest.mark.parametrize("folders", [("sacrum_01", "sacrum_02"), ("scan_left_ilium", "other")])
def test_names_that_several_patients_use_are_structures(source, folders):
    for old, new in zip(("mueller_anna", "p1"), folders, strict=True):
        (source / old).rename(source / new)
        slicer(source / new / "m.seg.nrrd", labels(), [("sacrum", 0, 1), LEFT])
    assert run(source) == []


def test_a_name_that_the_labels_list_is_a_structure(source):
    (source / "mueller_anna").rename(source / "sacrum 1")
    slicer(source / "sacrum 1" / "m.seg.nrrd", labels(values=(1,)), [("sacrum", 0, 1)])
    slicer(source / "p1" / "m.seg.nrrd", 2 * labels(values=(1,)), [LEFT])
    assert run(source, labels=source.parent / "labels.json") == []
