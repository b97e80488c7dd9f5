"""Layouts of source folders: the same patients, converted to the same voxels from each of them."""

import pytest
import SimpleITK as sitk

from dataset_conversion.datasets.layouts import find_entries
from tests.dataset_conversion.datasets.hospital import (
    LAYOUTS,
    NAME,
    PATTERN,
    entries,
    fill,
    put,
    read,
    run,
)
from tests.dataset_conversion.making import (
    ct,
    image,
    label_file,
    labels,
    nifti,
    patient,
    series,
    tree,
)

pytestmark = pytest.mark.usefixtures("no_picture")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_images_and_masks_are_paired_by_name(tmp_path, layout):
    expected = tmp_path / "expected"
    for number in range(3):
        patient(expected / f"P{number}", number, mask=labels(values=(1, 2) if number else (2,)))
    (expected / "P2" / "mask.nii.gz").unlink()
    source = fill(tmp_path / "source", layout, 3)
    run(expected, tmp_path / "one")
    report = run(source, tmp_path / "two")
    one, two = (
        {k: v for k, v in tree(tmp_path / raw / NAME).items() if k.endswith(".gz")}
        for raw in ("one", "two")
    )
    assert one == two
    assert any("paired by name: 2 pairs, 1 images without a mask" in note for note in report.notes)


def test_series_in_a_tree_are_paired_by_their_folders(tmp_path):
    for number in range(2):
        for place in ("trees/scans/P{}/CT", "next/P{}"):
            series(tmp_path / place.format(number), number, key=str(number))
        for place in ("trees/segmentations/P{}.nii.gz", "next/P{}_mask.nii.gz"):
            nifti(tmp_path / place.format(number), labels())
    for source in (tmp_path / "trees", tmp_path / "next"):
        found = entries(source)
        assert [entry.name for entry in found] == ["P0", "P1"]
        for entry in found:
            assert (read(entry).image.size[2], len(read(entry).mask.files)) == (6, 1)


def test_names_of_pairs_can_be_case_ids(tmp_path):
    report = run(fill(tmp_path / "src", "flat"), keep_names=True)
    assert sorted(report.cases) == ["P0", "P1"]


def test_full_names_decide_between_images_of_one_patient(tmp_path):
    put(tmp_path, "P1_ct P1_mr P10_ct", "P1_ct_mask P1_mr_mask")
    found = {entry.where.name: [path.name for path in entry.masks] for entry in entries(tmp_path)}
    assert found == {
        "P1_mr.nii.gz": ["P1_mr_mask.nii.gz"],
        "P1_ct.nii.gz": ["P1_ct_mask.nii.gz"],
        "P10_ct.nii.gz": [],
    }


def test_numbers_are_compared_in_full(tmp_path):
    found = entries(put(tmp_path, "case_1 case_11", "case_11_seg"))
    assert {entry.where.name: len(entry.masks) for entry in found} == {
        "case_1.nii.gz": 0, "case_11.nii.gz": 1}  # fmt: skip


def test_bids_keeps_the_scans_of_a_subject_in_one_group(tmp_path):
    stems = [f"sub-a/ses-{session}/sub-a_ses-{session}" for session in (1, 2)]
    put(tmp_path / "rawdata", " ".join(f"{stem}_ct" for stem in stems))
    put(tmp_path / "derivatives", "", " ".join(f"{stem}_seg-vert_msk" for stem in stems))
    found = entries(tmp_path)
    assert [entry.group for entry in found] == ["sub-a", "sub-a"]
    assert [entry.masks[0].name for entry in found] == [
        "sub-a_ses-1_seg-vert_msk.nii.gz", "sub-a_ses-2_seg-vert_msk.nii.gz"
    ]  # fmt: skip


def test_a_folder_of_images_only_holds_patients_without_masks(tmp_path):
    found = entries(put(tmp_path, "images/P0 images/P1"))
    assert [entry.masks for entry in found] == [(), ()]


def test_patients_whose_folders_have_words_of_trees_are_patients(tmp_path):
    for name in ("scan1", "scan2", "segmentation of P3"):
        patient(tmp_path / name)
    assert [entry.name for entry in entries(tmp_path)] == ["scan1", "scan2", "segmentation of P3"]


def test_masks_in_a_folder_next_to_the_patients(tmp_path):
    put(tmp_path, "P0/ct P1/ct P2/ct", "GT/P0 GT/P1_mask")
    found, notes = find_entries(tmp_path, PATTERN)
    assert [entry.masks and entry.masks[0].name for entry in found] == [
        "P0.nii.gz", "P1_mask.nii.gz", None,
    ]  # fmt: skip
    assert "masks in GT/ next to the patients' folders, paired by name: 2 pairs" in notes[0]


def test_a_mask_is_next_to_one_folder_and_in_another(tmp_path):
    put(tmp_path, "P0/ct P1/ct", "P0/mask P1_mask")
    found = [read(entry).mask.path.name for entry in entries(tmp_path)]
    assert found == ["mask.nii.gz", "P1_mask.nii.gz"]


def test_two_patients_with_files_of_the_same_names_are_patients(tmp_path):
    assert len(entries(put(tmp_path, "P0/1 P1/1", "P0/2 P1/2"))) == 2


@pytest.mark.parametrize("layout", ["two trees", "flat"])
def test_accents_of_macos_pair(tmp_path, layout):
    image, mask = LAYOUTS[layout]
    nifti(tmp_path / image.format("M\u00fcller"), ct())
    nifti(tmp_path / mask.format("Mu\u0308ller"), labels())
    nifti(tmp_path / image.format("Li"), ct(1))
    assert sorted(bool(entry.masks) for entry in entries(tmp_path)) == [False, True]


def test_links_to_patients_are_followed_on_request(tmp_path):
    for number in range(2):
        patient(tmp_path / "annex" / f"p{number}", number)
        folder = tmp_path / "src" / f"p{number}"
        folder.mkdir(parents=True)
        for name in ("ct.nii.gz", "mask.nii.gz"):
            (folder / name).symlink_to(f"../../annex/p{number}/{name}")
    label_file(tmp_path / "labels.json")
    assert run(tmp_path / "src", follow_links=True).written == 2


@pytest.mark.parametrize("ending", ["mhd", "mha"])
def test_headers_with_data_files_are_paired_in_trees(tmp_path, ending):
    for number in range(2):
        for tree_, array in (("images", ct(number)), ("labels", labels())):
            path = tmp_path / tree_ / f"P{number}.{ending}"
            path.parent.mkdir(exist_ok=True)
            sitk.WriteImage(image(array), str(path))
    found = [read(entry).mask.path.name for entry in entries(tmp_path)]
    assert found == [f"P0.{ending}", f"P1.{ending}"]


def test_temporary_folders_with_images_are_noted(tmp_path):
    put(tmp_path, "P0/ct P1.tmp/ct", "P0/mask P1.tmp/mask")
    found, notes = find_entries(tmp_path, PATTERN)
    assert len(found) == 1
    assert notes == ["temporary folders (.tmp) with images, passed over: 1"]
