"""One mask file per structure: found by name, merged, overlaps and missing files."""

from functools import partial

import numpy as np
import pytest

from dataset_conversion.datasets.structure_files import names_in
from dataset_conversion.errors import DatasetError
from tests.dataset_conversion.datasets import hospital
from tests.dataset_conversion.datasets.hospital import written
from tests.dataset_conversion.making import (
    AFFINE,
    ct,
    label_file,
    labels,
    nifti,
    patient,
    series,
    slicer,
)

pytestmark = pytest.mark.usefixtures("no_picture")
run = partial(hospital.run, keep_names=True)

MASK = labels()
SACRUM, ILIUM = (MASK == 1).astype(np.uint8), (MASK == 2).astype(np.uint8)


@pytest.fixture
def source(tmp_path):
    """Two patients with an image, and labels.json."""
    label_file(tmp_path / "labels.json")
    for number in range(2):
        nifti(tmp_path / "src" / f"p{number}" / "ct.nii.gz", ct(number))
    return tmp_path / "src"


def write(source, place, **files):
    for folder in source.iterdir():
        for name, array in files.items():
            nifti(folder / place / f"{name}.nii.gz", array)


@pytest.mark.parametrize(
    ("place", "sacrum", "ilium"),
    [
        ("segmentations", "sacrum", "left_ilium"),
        (".", "Sacrum", "LEFT ILIUM"),
        (".", "sacrum_mask", "left_ilium-seg"),
        ("results", "mask_sacrum", "left_ilium"),
    ],
)
def test_files_named_after_labels_are_merged(source, place, sacrum, ilium):
    write(source, place, **{sacrum: SACRUM, ilium: ILIUM * 255})
    run(source)
    np.testing.assert_array_equal(written(source), MASK)


def test_the_patients_name_in_front_is_left_out(source):
    for folder in source.iterdir():
        nifti(folder / f"{folder.name}_sacrum.nii.gz", SACRUM)
        nifti(folder / f"{folder.name}_left_ilium.nii.gz", ILIUM)
    run(source)
    np.testing.assert_array_equal(written(source), MASK)


def test_names_in_a_file_name():
    assert list(names_in("hip_left", "p1", "mask")) == ["hip_left"]
    assert "骶骨" in list(names_in("P1_骶骨_mask", "P1", "mask"))


def test_structures_that_are_not_labels_are_counted(source):
    write(source, "segmentations", sacrum=SACRUM, left_ilium=ILIUM, aorta=MASK, rib_left_1=MASK)
    report = run(source)
    np.testing.assert_array_equal(written(source), MASK)
    assert any("labels do not list, not read: 2" in note for note in report.notes)


def test_without_labels_the_files_of_a_mask_folder_name_them(source):
    write(source, "segmentations", sacrum=SACRUM, left_ilium=ILIUM)
    report = run(source, labels=None)
    assert {"sacrum", "left_ilium"} < set(report.voxels)
    np.testing.assert_array_equal(written(source) > 0, MASK > 0)


def test_a_label_without_a_file_in_any_patient_stops(source):
    write(source, "segmentations", sacrum=SACRUM, hip_left=ILIUM)
    with pytest.raises(DatasetError, match=r"'left ilium' have no file.*'sacrum', 'hip_left'"):
        run(source)
    run(source, rename=("hip_left=left ilium",))
    np.testing.assert_array_equal(written(source), MASK)


def test_a_structure_that_one_patient_lacks_is_a_note(source):
    write(source, "segmentations", sacrum=SACRUM, left_ilium=ILIUM)
    (source / "p1" / "segmentations" / "left_ilium.nii.gz").unlink()
    report = run(source)
    np.testing.assert_array_equal(written(source, "p1"), SACRUM)
    assert (
        "patients without a file of 'left ilium': 1 of 2 with one file per structure"
        in report.notes
    )


def test_a_mask_folder_of_other_names_stops(source):
    write(source, "segmentations", aorta=SACRUM, liver=ILIUM)
    with pytest.raises(
        DatasetError, match=r"'aorta', 'liver' are not labels.*'sacrum', 'left ilium'"
    ):
        run(source)


def test_overlaps_stop_unless_an_order_is_given(source):
    write(source, "segmentations", sacrum=SACRUM | ILIUM, left_ilium=ILIUM)
    with pytest.raises(DatasetError, match="'sacrum' and 'left_ilium' overlap in"):
        run(source)
    run(source, overlaps="last")
    np.testing.assert_array_equal(written(source), MASK)
    run(source, overlaps="first")
    np.testing.assert_array_equal(written(source), MASK > 0)


def test_several_values_in_a_file_of_one_structure_stop(source):
    write(source, "segmentations", sacrum=MASK, left_ilium=ILIUM)
    with pytest.raises(DatasetError, match=r"sacrum\.nii\.gz: named after one structure.*\[1, 2\]"):
        run(source)


def test_a_file_on_another_grid_stops(source):
    write(source, "segmentations", sacrum=SACRUM, left_ilium=ILIUM)
    moved = AFFINE.copy()
    moved[0, 3] += 3
    nifti(source / "p0" / "segmentations" / "left_ilium.nii.gz", ILIUM, moved)
    with pytest.raises(DatasetError, match="its masks are on different grids"):
        run(source)


def test_a_single_file_of_two_values_is_its_name(tmp_path):
    label_file(tmp_path / "labels.json")
    for number in range(2):
        nifti(tmp_path / "src" / f"p{number}" / "ct.nii.gz", ct(number))
        nifti(tmp_path / "src" / f"p{number}" / "left_ilium.nii.gz", ILIUM)
    with pytest.raises(DatasetError, match="'sacrum' have no file in any patient"):
        run(tmp_path / "src")
    patient(tmp_path / "src" / "p2", 2)
    run(tmp_path / "src")
    np.testing.assert_array_equal(written(tmp_path / "src"), ILIUM * 2)


def test_a_label_map_named_after_one_label_keeps_its_values(source):
    write(source, ".", sacrum_mask=MASK)
    run(source)
    np.testing.assert_array_equal(written(source), MASK)


def test_structures_of_a_dicom_series(tmp_path):
    label_file(tmp_path / "labels.json")
    for number in range(2):
        series(tmp_path / "src" / f"p{number}" / "ct", number, key=f"{number}")
    write(tmp_path / "src", "seg", sacrum=SACRUM, left_ilium=ILIUM)
    run(tmp_path / "src")
    np.testing.assert_array_equal(written(tmp_path / "src"), MASK)


def test_an_image_named_after_a_label_is_not_a_structure(tmp_path):
    label_file(tmp_path / "labels.json")
    for number in range(2):
        nifti(tmp_path / "src" / f"p{number}" / "sacrum.nii.gz", ct(number))
        nifti(tmp_path / "src" / f"p{number}" / "sacrum_mask.nii.gz", MASK)
    run(tmp_path / "src")
    np.testing.assert_array_equal(written(tmp_path / "src"), MASK)


def test_renaming_converts_again(source):
    write(source, "segmentations", sacrum=SACRUM, left_ilium=ILIUM, other=ILIUM)
    run(source)
    report = run(source, rename=("left_ilium=background", "other=left ilium"))
    assert (report.written, report.skipped) == (2, 0)


def test_one_slicer_file_per_structure_is_merged_by_its_segments(source):
    for folder in source.iterdir():
        slicer(folder / "a.seg.nrrd", SACRUM, [("sacrum", 0, 1)])
        slicer(folder / "b.seg.nrrd", ILIUM, [("left ilium", 0, 1)])
    run(source)
    np.testing.assert_array_equal(written(source), MASK)


def test_two_segmentations_of_the_same_structures_stop(source):
    for folder in source.iterdir():
        for reader in "ab":
            slicer(folder / f"{reader}.seg.nrrd", SACRUM, [("sacrum", 0, 1)])
    with pytest.raises(DatasetError, match=r"2 masks, \['sacrum'\] in more than one of them"):
        run(source)


@pytest.mark.parametrize("name", ["left_ilium.stl", "left ilium.npy", "p0_left_ilium_mask.zip"])
@pytest.mark.parametrize("labelled", [True, False])
def test_a_structure_that_is_not_read_is_never_missing(source, name, labelled):
    write(source, "segmentations", sacrum=SACRUM, skin=ILIUM)
    (source / "p0" / "segmentations" / name).write_bytes(b"x" * 40)
    how = {} if labelled else {"labels": None}
    message = f"p0: named after structures, but not read: segmentations/{name}"
    with pytest.raises(DatasetError, match=message):
        run(source, **how)


def test_another_form_of_a_structure_that_is_read_is_passed_over(source):
    write(source, "segmentations", sacrum=SACRUM, left_ilium=ILIUM)
    (source / "p0" / "segmentations" / "left_ilium.stl").write_bytes(b"x" * 40)
    run(source)
    np.testing.assert_array_equal(written(source), MASK)


def test_structures_of_regions_are_named_by_their_values(source):
    write(source, "segmentations", sacrum=SACRUM, left_ilium=ILIUM)
    regions = {"labels": {"background": 0, "pelvis": [1, 2], "sacrum": 1}}
    label_file(source.parent / "labels.json", **regions, regions_class_order=[2, 1])
    with pytest.raises(DatasetError, match="the labels '2' have no file in any patient"):
        run(source)
    run(source, rename=("left_ilium=2",))
    np.testing.assert_array_equal(written(source), MASK)
