"""Layouts of source folders that are not clear: each stops with what to do."""

import re
import shutil

import pytest

from dataset_conversion.datasets.hospital_ct import convert
from dataset_conversion.errors import DatasetError
from tests.dataset_conversion.datasets.hospital import LAYOUTS, entries, fill, put, read, run
from tests.dataset_conversion.making import labels, nifti, patient, series

pytestmark = pytest.mark.usefixtures("no_picture")


def problems(source):
    return [entry.problem for entry in entries(source) if entry.problem]


@pytest.mark.parametrize(
    ("images", "masks", "message"),
    [
        ("images/a", "labels/x", "recognised as images in images/ and masks in labels/, .*, e.g. "
         r"images/a\.nii\.gz and labels/x\.nii\.gz; rename them$"),
        ("imagesTr/P1_0000 imagesTr/P1_0001", "labelsTr/P1", "several channels"),
        ("sub-1/sub-1_T1w sub-1/sub-1_T2w", "derivatives/sub-1/sub-1_dseg",
         r"2 images and 1 masks .* have the same name"),
        ("foo/P0 foo/P1", "bar/P0 bar/P1", r"same names are in bar/ and foo/.*rename them to images"),
        ("images/P0 images/P1", "labels/final/P0 labels/final/P1 labels/draft/P0",
         "no image and mask have the same name"),
        ("ct", "mask", r"2 images are not in a patient's folder \(ct\.nii\.gz"),
        ("P1/ct P2", "P1/mask", r"1 images are not in a patient's folder.*P2\.nii\.gz"),
        ("images/P0 images/P1 P2", "labels/P0", "1 images are next to images in images/ and masks"),
    ],
)  # fmt: skip
def test_names_and_places_that_are_not_clear(tmp_path, images, masks, message):
    with pytest.raises(DatasetError, match=message):
        entries(put(tmp_path, images, masks))


def test_folders_within_trees_do_not_count_if_file_names_are_unique(tmp_path):
    put(tmp_path, "images/P0 images/P1", "labels/final/P0 labels/final/P1")
    assert all(entry.masks for entry in entries(tmp_path))


@pytest.mark.parametrize("layout", ["two trees", "flat"])
def test_a_mask_without_an_image_stops(tmp_path, layout):
    source = fill(tmp_path / "src", layout)
    nifti(source / LAYOUTS[layout][1].format(10), labels())
    (problem,) = problems(source)
    assert "P10" in problem
    with pytest.raises(DatasetError, match=r"P10.*no image has the name of this mask; rename"):
        run(source)


@pytest.mark.parametrize("layout", ["two trees", "flat"])
def test_a_mask_that_is_not_read_stops(tmp_path, layout):
    source = fill(tmp_path / "src", layout)
    mask = source / LAYOUTS[layout][1].format(1)
    mask.rename(mask.with_name(f"{mask.name.split('.')[0]}.tif"))
    with pytest.raises(DatasetError, match=r"P1\w*\.tif; save it as"):
        run(source)


def test_two_images_for_one_mask_are_listed(tmp_path):
    (problem,) = problems(put(tmp_path, "P1_ct P1_mr P2_ct", "P1_mask P2_mask"))
    assert re.search(r"P1_ct\.nii\.gz, .*P1_mr\.nii\.gz: 2 images and 1 masks", problem)


def test_two_sets_of_masks_in_bids_stop(tmp_path):
    source = fill(tmp_path / "src", "BIDS")
    shutil.copytree(source / "derivatives" / "labels", source / "derivatives" / "auto")
    with pytest.raises(DatasetError, match="derivatives/labels: 2 folders of masks"):
        entries(source)


def test_a_label_map_without_a_pair_is_not_an_image(tmp_path):
    source = fill(tmp_path / "src", "flat")
    nifti(source / "P7_final.nii.gz", labels())
    with pytest.raises(DatasetError, match=r"P7_final.nii.gz: .* holds only 3 distinct values"):
        run(source)


@pytest.mark.parametrize("layout", ["two trees", "VerSe", "nnU-Net"])
def test_a_folder_that_is_a_source_itself_is_named(tmp_path, layout):
    source = fill(tmp_path / "src" / "unpacked", layout)
    (source.parent / "labels.json").unlink()
    message = r"unpacked: not one patient's folder, but .*; pass it as"
    with pytest.raises(DatasetError, match=message):
        convert(source.parent, tmp_path / "raw", 660)
    assert len(entries(source)) == 2  # the fix that the message states


def test_slices_of_all_patients_in_one_folder_stop_with_what_to_do(tmp_path):
    series(tmp_path / "s")
    with pytest.raises(DatasetError, match=r"6 images are not in a patient's folder"):
        entries(tmp_path / "s")
    series(put(tmp_path / "trees", "", "labels/P0") / "images")
    with pytest.raises(DatasetError, match="put the slices of each patient into a folder with"):
        entries(tmp_path / "trees")


@pytest.mark.parametrize("layout", ["two trees", "VerSe"])
def test_other_folders_next_to_trees_may_not_hold_images(tmp_path, layout):
    source = fill(tmp_path / "src", layout)
    (source / "reports").mkdir()
    (source / "reports" / "P1.pdf").write_bytes(b"%PDF")
    assert len(entries(source)) == 2
    patient(source / "more")
    with pytest.raises(DatasetError, match=r"recognised as .*, but other folders .*: more; move"):
        entries(source)


def test_a_missing_source_and_a_source_without_patients_stop(tmp_path):
    with pytest.raises(DatasetError, match="no such folder"):
        entries(tmp_path / "x")
    with pytest.raises(DatasetError, match="holds no patients"):
        entries(tmp_path)


def test_packed_patients_stop(tmp_path):
    (tmp_path / "P1.zip").write_bytes(b"PK")
    message = r"(?s)holds no patients.*P1\.zip: an archive; unpack it"
    with pytest.raises(DatasetError, match=message):
        entries(tmp_path)
    patient(tmp_path / "P2")
    (problem,) = problems(tmp_path)
    assert "P1.zip: an archive; unpack it into a folder" in problem
    patient(tmp_path / "P1")  # unpacked
    assert problems(tmp_path) == []


@pytest.mark.parametrize("layout", ["two trees", "flat", "masks next to folders"])
def test_archives_next_to_any_layout_stop(tmp_path, layout):
    source = fill(tmp_path / "source", layout)
    (source / "labels2.zip").write_bytes(b"PK")
    assert any("labels2.zip: an archive; unpack it" in problem for problem in problems(source))


def test_links_stop_with_the_option_that_follows_them(tmp_path):
    patient(tmp_path / "src" / "p0")
    (tmp_path / "src" / "p0" / "ct.nii.gz").rename(tmp_path / "ct.nii.gz")
    (tmp_path / "src" / "p0" / "ct.nii.gz").symlink_to(tmp_path / "ct.nii.gz")
    with pytest.raises(DatasetError, match=r"p0/ct\.nii\.gz: a symbolic link; pass --follow-links"):
        read(entries(tmp_path / "src")[0])


def test_a_folder_of_patients_in_the_source_is_named(tmp_path):
    put(tmp_path / "data", "P0/ct P1/ct", "P0/mask P1/mask")
    message = r"pass .*data as the source if its folders are patients"
    with pytest.raises(DatasetError, match=message):
        read(entries(tmp_path)[0])


@pytest.mark.parametrize(
    ("images", "masks", "other", "message"),
    [
        ("images/P0 images/P1", "labels/P0", "labels/P1/", r"the place of its mask, .*labels/P1, holds none"),
        ("images/P0 images/P1", "labels/P0", "labels/P1.nii.gz.tmp labels/editor.tmp7",
         r"but is not read: P1\.nii\.gz\.tmp"),
        ("P0/ct", "P0/mask masks/P0", "", r"2 masks, expected one: P0/mask\.nii\.gz, .*masks/P0"),
    ],
)  # fmt: skip
def test_a_mask_is_missing_unfinished_or_not_the_only_one(tmp_path, images, masks, other, message):
    put(tmp_path, images, masks)
    for name in other.split():
        if name.endswith("/"):
            (tmp_path / name).mkdir()
        else:
            (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DatasetError, match=message):
        read(entries(tmp_path)[-1])
