"""SEG, RTSTRUCT and DICOM stacks as masks of a patient's series."""

from functools import partial

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from dataset_conversion.errors import DatasetError
from dataset_conversion.phantoms.dicom import write_series
from dataset_conversion.phantoms.structure_set import write_structure_set
from tests.dataset_conversion.datasets import hospital
from tests.dataset_conversion.datasets.hospital import NAME, written
from tests.dataset_conversion.making import AFFINE, ct, label_file, labels, nifti, series
from tests.dataset_conversion.segmentations import write_seg

pytestmark = pytest.mark.usefixtures("no_picture")
run = partial(hospital.run, keep_names=True)

MASK = labels()
MASK[3, 3, 5] = 0  # a hole
STRUCTURES = {"left ilium": MASK == 2, "Sacrum": MASK == 1}  # other order and case than the labels


@pytest.fixture
def source(tmp_path):
    """Two patients with a DICOM series and no mask yet."""
    label_file(tmp_path / "labels.json")
    for number in range(2):
        series(tmp_path / "src" / f"p{number}" / "ct", number, key=f"{number}")
    return tmp_path / "src"


def slices(folder):
    return sorted((folder / "ct").iterdir(), reverse=True)  # the last slice is in the first file


def seg(folder, **how):
    return write_seg(folder / "seg.dcm", STRUCTURES, slices(folder), **how)


def contours(folder, structures=STRUCTURES, **how):
    return write_structure_set(folder / "rs.dcm", structures, slices(folder), AFFINE, **how)


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_a_dicom_seg_is_read_by_name(source, kind):
    for folder in source.iterdir():
        seg(folder, kind=kind)
    run(source)
    np.testing.assert_array_equal(written(source), MASK)


@pytest.mark.parametrize("named_series", [True, False])
def test_contours_become_voxels_with_holes(source, named_series):
    for folder in source.iterdir():
        contours(folder, named_series=named_series)
    run(source)
    np.testing.assert_array_equal(written(source), MASK)


def test_the_mask_object_of_one_patient_and_the_volume_of_another_are_read(source):
    seg(source / "p0")
    nifti(source / "p1" / "mask.nii.gz", labels())
    assert run(source).written == 2


def test_a_fractional_seg_stops(source):
    seg(source / "p0", kind="FRACTIONAL")
    with pytest.raises(DatasetError, match=r"seg\.dcm: a DICOM SEG of type FRACTIONAL"):
        run(source)


def test_names_that_are_not_labels_stop_until_they_are_renamed(source):
    label_file(source.parent / "labels.json", sacrum=1, ilium=2)
    for folder in source.iterdir():
        contours(folder)
    with pytest.raises(
        DatasetError, match=r"'left ilium' is not a label.*'Sacrum'.*--rename 'left ilium=LABEL'"
    ):
        run(source)
    run(source, rename=("left ilium=ilium",))
    np.testing.assert_array_equal(written(source), MASK)


def test_of_several_series_the_one_that_the_object_refers_to_is_the_image(source):
    for number, folder in enumerate(source.iterdir()):
        seg(folder)
        write_series(folder / "other", ct(9 + number), AFFINE, key=f"other {number}")
    report = run(source)
    assert report.written == 2
    image = sitk.ReadImage(str(source.parent / "raw" / NAME / "imagesTr" / "p0_0000.nii.gz"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), ct(0))


def test_an_object_of_another_series_stops(source):
    seg(source / "p0").rename(source / "p1" / "seg.dcm")
    with pytest.raises(
        DatasetError, match=r"p1: seg\.dcm \(SEG\) refers to series UID \.\.\d+, not to"
    ):
        run(source)


def test_two_objects_of_one_patient_stop(source):
    seg(source / "p0")
    contours(source / "p0")
    with pytest.raises(
        DatasetError, match=r"p0: 2 masks, expected one: rs\.dcm, seg\.dcm; keep one"
    ):
        run(source)


def test_one_seg_per_structure_is_merged(source):
    for folder in source.iterdir():
        for name, voxels in STRUCTURES.items():
            write_seg(folder / f"{name}.dcm", {name: voxels}, slices(folder))
    run(source)
    np.testing.assert_array_equal(written(source), MASK)


def test_contours_between_slices_stop(source):
    path = contours(source / "p0")
    found = pydicom.dcmread(path)
    contour = found.ROIContourSequence[0].ContourSequence[0]
    points = np.reshape(np.array(contour.ContourData, float), (-1, 3))
    points[:, 2] += 1.25
    contour.ContourData = [f"{value:.6g}" for value in points.ravel()]
    found.save_as(path)
    with pytest.raises(DatasetError, match=r"'left ilium' has a contour 0\.50 slices off"):
        run(source)


def test_overlaps_stop_unless_an_order_is_given(source):
    both = {"sacrum": MASK > 0, "left ilium": MASK == 2}
    for folder in source.iterdir():
        contours(folder, both)
    count = int((MASK == 2).sum())
    with pytest.raises(DatasetError, match=f"'sacrum' and 'left ilium' overlap in {count} voxels"):
        run(source)
    report = run(source, overlaps="last")
    np.testing.assert_array_equal(written(source), MASK)
    assert any("structures overlap" in note for note in report.notes)
    run(source, overlaps="first")
    np.testing.assert_array_equal(written(source), MASK > 0)


@pytest.mark.parametrize("by", ["folder", "description"])
def test_a_series_named_as_a_mask_is_the_structure_that_its_name_contains(source, by):
    for number, folder in enumerate(source.iterdir()):
        place = "mask_left_ilium" if by == "folder" else "roi"
        title = "left ilium mask" if by == "description" else "bone"
        write_series(folder / place, (MASK == 2) * 1000 - 1024, AFFINE, key=f"m{number}",
                     tags={"SeriesDescription": title})  # fmt: skip
    report = run(source)
    np.testing.assert_array_equal(written(source), (MASK == 2) * 2)
    assert any("a DICOM series was read as the mask" in note for note in report.notes)


def test_a_series_of_labels_keeps_its_values(source):
    for number, folder in enumerate(source.iterdir()):
        write_series(folder / "labels", MASK.astype(int) - 1024, AFFINE, key=f"m{number}")
    run(source)
    np.testing.assert_array_equal(written(source), MASK)


def test_a_series_of_two_values_is_the_mask_without_a_name(source):
    label_file(source.parent / "labels.json", sacrum=1)
    for number, folder in enumerate(source.iterdir()):
        write_series(folder / "second", (MASK > 0) - 1024, AFFINE, key=f"m{number}",
                     tags={"SeriesDescription": ""})  # fmt: skip
    run(source)
    np.testing.assert_array_equal(written(source), MASK > 0)


def test_a_masked_image_stops_until_the_value_outside_is_given(source):
    for number, folder in enumerate(source.iterdir()):
        write_series(
            folder / "sacrum_mask", np.where(MASK, ct(number) | 1, 0), AFFINE, key=f"m{number}"
        )
    with pytest.raises(
        DatasetError, match=r"named as a mask, but holds \d+ values.*--mask-outside 0 "
    ):
        run(source)
    run(source, mask_outside=0.0)
    np.testing.assert_array_equal(written(source), MASK > 0)


def test_a_series_named_as_a_mask_can_be_the_image(source):
    for number, folder in enumerate(source.iterdir()):
        series(folder / "ct", number, key=f"{number}", tags={"SeriesDescription": "segment 2"})
        seg(folder)
    run(source)
    np.testing.assert_array_equal(written(source), MASK)
