import numpy as np
import pytest

from dataset_conversion.dicom.series import Series
from dataset_conversion.errors import DatasetError
from tests.dataset_conversion.datasets.hospital import read
from tests.dataset_conversion.making import ct, labels, nifti, patient, series


def test_image_and_mask_are_found_by_name(tmp_path):
    found = read(patient(tmp_path / "p"))
    assert (found.image.name, found.mask.path.name) == ("ct.nii.gz", "mask.nii.gz")


def test_the_pattern_ignores_case_and_can_be_given(tmp_path):
    nifti(tmp_path / "a.nii.gz", ct())
    nifti(tmp_path / "ROI.nii.gz", labels())
    assert read(tmp_path, "roi").mask.path.name == "ROI.nii.gz"


def test_content_decides_if_no_name_matches(tmp_path):
    nifti(tmp_path / "one.nii.gz", labels())
    nifti(tmp_path / "two.nii.gz", ct())
    found = read(tmp_path)
    assert (found.image.name, found.mask.path.name) == ("two.nii.gz", "one.nii.gz")


def test_content_decides_if_both_names_match(tmp_path):
    nifti(tmp_path / "segment_ct.nii.gz", ct())
    nifti(tmp_path / "segment_roi.nii.gz", labels())
    assert read(tmp_path).mask.path.name == "segment_roi.nii.gz"


@pytest.mark.parametrize("make", [labels, ct])
def test_two_masks_or_two_images_stop_with_both_names(tmp_path, make):
    nifti(tmp_path / "one.nii.gz", make())
    nifti(tmp_path / "two.nii.gz", make())
    with pytest.raises(DatasetError, match=r"one\.nii\.gz, two\.nii\.gz; pass --mask-pattern"):
        read(tmp_path)


def test_a_series_with_a_mask_of_any_name(tmp_path):
    series(tmp_path / "ct")
    nifti(tmp_path / "roi.nii.gz", labels())
    found = read(tmp_path)
    assert isinstance(found.image, Series)
    assert found.mask.path.name == "roi.nii.gz"


def test_several_images_or_masks_stop(tmp_path):
    patient(tmp_path / "p")
    nifti(tmp_path / "p" / "other_mask.nii.gz", labels())
    with pytest.raises(DatasetError, match=r"2 masks, expected one: mask.nii.gz, other_mask"):
        read(tmp_path / "p")
    (tmp_path / "p" / "other_mask.nii.gz").unlink()
    series(tmp_path / "p" / "ct")
    with pytest.raises(DatasetError, match=r"2 images.*ct.nii.gz, a DICOM series of 6 slices"):
        read(tmp_path / "p")


def test_a_mask_alone_and_an_empty_folder_stop(tmp_path):
    nifti(tmp_path / "a" / "mask.nii.gz", labels())
    with pytest.raises(DatasetError, match=r"a mask without its image: mask\.nii\.gz"):
        read(tmp_path / "a")
    (tmp_path / "b").mkdir()
    with pytest.raises(DatasetError, match="no image found"):
        read(tmp_path / "b")


def test_system_files_and_temporary_files_are_ignored(tmp_path):
    patient(tmp_path)
    for name in ("._ct.nii.gz", ".DS_Store", "x.tmp.nii.gz", "Thumbs.db", "DICOMDIR", "desktop.ini",
                 "notes.txt", "report.pdf"):  # fmt: skip
        (tmp_path / name).write_bytes(b"something that is not an image" * 20)
    assert read(tmp_path).image.name == "ct.nii.gz"


def test_other_formats_stop(tmp_path):
    patient(tmp_path)
    (tmp_path / "scan.nhdr").write_text("x")
    with pytest.raises(DatasetError, match=r"scan\.nhdr: this format is not read"):
        read(tmp_path)


def test_two_possible_masks_are_never_guessed(tmp_path):
    nifti(tmp_path / "one.nii.gz", np.ones_like(labels()))
    nifti(tmp_path / "two.nii.gz", labels())
    with pytest.raises(DatasetError, match="cannot find out which one is the mask"):
        read(tmp_path)
