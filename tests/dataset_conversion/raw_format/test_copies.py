"""The same image under two ids stops a conversion, however it is stored."""

import gzip
import shutil
from functools import partial

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.errors import DatasetError
from tests.dataset_conversion.datasets import hospital
from tests.dataset_conversion.datasets.comparing import folds
from tests.dataset_conversion.making import (
    AFFINE,
    ct,
    image,
    label_file,
    labels,
    nifti,
    patient,
    series,
)

pytestmark = pytest.mark.usefixtures("no_picture")
run = partial(hospital.run, keep_names=True)


@pytest.fixture
def three(tmp_path):
    """Patients p0 to p2, and p9 without an image, for a copy of p1."""
    for number in range(3):
        patient(tmp_path / "src" / f"p{number}", number)
    nifti(tmp_path / "src" / "p9" / "mask.nii.gz", labels())
    label_file(tmp_path / "labels.json")
    return tmp_path / "src"


def packed(folder):
    content = gzip.decompress((folder.parent / "p1" / "ct.nii.gz").read_bytes())
    (folder / "ct.nii.gz").write_bytes(gzip.compress(content, 1))


def spacing(folder):
    matrix = AFFINE @ np.diag([1.1, 1.1, 2.0, 1.0])
    nifti(folder / "ct.nii.gz", ct(1), matrix)
    nifti(folder / "mask.nii.gz", labels(), matrix)


STORED = {
    "packed": packed,
    "unpacked": lambda folder: nifti(folder / "ct.nii", ct(1)),
    "nrrd": lambda folder: sitk.WriteImage(image(ct(1)), str(folder / "ct.nrrd")),
    "floats": lambda folder: nifti(folder / "ct.nii.gz", ct(1).astype(np.float32)),
    "dicom": lambda folder: series(folder / "ct", 1),
    "spacing": spacing,
    "reordered": lambda folder: sitk.WriteImage(
        sitk.DICOMOrient(image(ct(1)), "PIR"), str(folder / "ct.nii.gz")
    ),
    "mirrored": lambda folder: nifti(folder / "ct.nii.gz", ct(1)[:, :, ::-1]),
}


@pytest.mark.parametrize("store", STORED.values(), ids=STORED)
def test_a_copy_in_any_form_stops_the_conversion(three, store):
    store(three / "p9")
    with pytest.raises(DatasetError, match=r"p1 and .*p9 hold the same image \(equal voxels\)"):
        run(three)
    assert [path.name for path in (three.parent / "raw").iterdir()] == [
        ".Dataset660_SacroiliacCT.converting"
    ]


def test_a_dry_run_and_keep_going_report_copies(three):
    packed(three / "p9")
    tried = run(three, dry_run=True)
    assert len(tried.problems) == 1
    report = run(three, keep_going=True)
    assert report.problems == tried.problems
    assert report.cases == {"p0", "p2"}
    again = run(three, keep_going=True)
    assert again.problems == tried.problems
    assert again.written == 0


def test_a_copy_that_arrives_later_is_found_by_the_manifest(three):
    shutil.rmtree(three / "p9")
    assert run(three).written == 3
    shutil.copytree(three / "p1", three / "p9")
    packed(three / "p9")
    with pytest.raises(DatasetError, match="hold the same image"):
        run(three)
    assert run(three, dry_run=True).cases == {"p0", "p2"}


def test_copies_of_one_patient_are_noted(three):
    packed(three / "p9")
    table = three.parent / "groups.csv"
    table.write_text("folder,patient\np0,a\np1,b\np2,c\np9,b\n")
    report = run(three, groups=table)
    assert "p1, p9 hold the same image, of one patient" in report.notes
    assert len(report.cases) == 4


NEAR = {
    "other air": lambda array: np.where(array < -800, -2000, array).astype(np.int16),
    "lost intercept": lambda array: array + np.int16(1024),
}


@pytest.mark.parametrize("change", NEAR.values(), ids=NEAR)
def test_nearly_equal_images_stay_in_one_fold(three, change):
    nifti(three / "p9" / "ct.nii.gz", change(ct(1)))
    report = run(three)
    assert any(note.startswith("p1, p9 hold nearly the same image") for note in report.notes)
    assert report.patients == 3
    assert ["p1", "p9"] in [fold["val"] for fold in folds(report.dataset)]
    again = run(three)
    assert (again.written, again.skipped, again.notes) == (0, 4, report.notes)


CROPPED = {
    "one slice": lambda array: array[1:],
    "half": lambda array: array[3:],
    "a side": lambda array: array[:, :, 2:],
}


@pytest.mark.parametrize("crop", CROPPED.values(), ids=CROPPED)
def test_images_that_share_slices_stay_in_one_fold(three, crop):
    array = np.ascontiguousarray(crop(ct(1)))
    nifti(three / "p9" / "ct.nii.gz", array)
    nifti(three / "p9" / "mask.nii.gz", labels(array.shape))
    report = run(three)
    count = 3 if len(array) == 3 else 5 if len(array) == 5 else 12
    assert f"p1, p9 hold images of which {count} slices are equal: kept in one fold" in str(report)
    assert ["p1", "p9"] in [fold["val"] for fold in folds(report.dataset)]


def test_a_test_set_never_separates_images_that_share_slices(three):
    nifti(three / "p9" / "ct.nii.gz", ct(1)[1:])
    nifti(three / "p9" / "mask.nii.gz", labels()[1:])
    separated = []
    for seed in range(8):
        report = run(three, test="1:1", seed=seed, dry_run=True)
        separated.append(bool(report.problems))
        assert report.cases == ({"p0", "p2"} if report.problems else {"p0", "p1", "p2", "p9"})
        assert all("and one of them is in the test set" in text for text in report.problems)
    assert set(separated) == {True, False}
    table = three.parent / "groups.csv"
    table.write_text("folder,patient\np0,a\np1,b\np2,c\np9,b\n")
    for seed in range(4):
        assert run(three, test="1:1", seed=seed, dry_run=True, groups=table).problems == ()


def test_missed_slices_of_a_mask_are_noted(three):
    shutil.rmtree(three / "p9")
    shape = (9, 12, 14)
    mask = np.zeros(shape, np.uint8)
    mask[::3, 3:8, 3:8] = 1
    nifti(three / "p0" / "ct.nii.gz", ct(0, shape))
    nifti(three / "p0" / "mask.nii.gz", mask)
    notes = [note for note in run(three).notes if "no label in" in note]
    assert len(notes) == 1
    assert notes[0].startswith("p0: no label in 4 of the 7 slices")
