"""Layouts of source folders: the same patients, converted to the same voxels from each of them."""

import shutil

import pytest
import SimpleITK as sitk

from dataset_conversion.datasets.hospital_ct import Options, convert
from dataset_conversion.datasets.layouts import find_entries
from dataset_conversion.datasets.patient_folder import read_patient
from dataset_conversion.errors import DatasetError
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

PATTERN = "mask|seg|label"
NAME = "Dataset660_SacroiliacCT"

pytestmark = pytest.mark.usefixtures("no_picture")

LAYOUTS = {
    "two trees": ("images/P{}.nii.gz", "labels/P{}.nii.gz"),
    "names of their own": ("CT_images/volume-{}.nii.gz", "CT_masks/segmentation-{}.nii.gz"),
    "no separators": ("img/img000{}.nii.gz", "label/label000{}.nii.gz"),
    "nnU-Net": ("imagesTr/P{}_0000.nii.gz", "labelsTr/P{}.nii.gz"),
    "folders in trees": ("scans/P{}/ct.nii.gz", "segmentations/P{}/mask.nii.gz"),
    "folders for images": ("scans/P{}/ct.nii.gz", "segmentations/P{}.nii.gz"),
    "VerSe": ("rawdata/sub-v{0}/sub-v{0}_ct.nii.gz",
              "derivatives/sub-v{0}/sub-v{0}_seg-vert_msk.nii.gz"),
    "BIDS": ("sub-{0}/ses-1/anat/sub-{0}_ses-1_T1w.nii.gz",
             "derivatives/labels/sub-{0}/ses-1/anat/sub-{0}_ses-1_T1w_label-SC_seg.nii.gz"),
    "flat": ("P{}_ct.nii.gz", "P{}_mask.nii.gz"),
    "flat, mask first": ("case{}.nii.gz", "mask_case{}.nii.gz"),
    "flat, bare image names": ("P{}.nii.gz", "P{}-label.nii.gz"),
    "masks next to folders": ("P{}/scan.nii.gz", "P{}_seg.nii.gz"),
}  # fmt: skip


def entries(source, pattern=PATTERN):
    return find_entries(source, pattern)[0]


def problems(source, pattern=PATTERN):
    return [entry.problem for entry in entries(source, pattern) if entry.problem]


def fill(source, layout, count=2, masks=2):
    image, mask = LAYOUTS[layout]
    for number in range(count):
        nifti(source / image.format(number), ct(number))
        if number < masks:
            nifti(source / mask.format(number), labels(values=(1, 2) if number else (2,)))
    source.parent.mkdir(exist_ok=True)
    label_file(source.parent / "labels.json")
    return source


def run(source, raw, **how):
    return convert(source, raw, 660, options=Options(labels=source.parent / "labels.json", **how))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_images_and_masks_are_paired_by_name(tmp_path, layout):
    expected = tmp_path / "expected"
    for number in range(3):
        patient(expected / f"P{number}", number, mask=labels(values=(1, 2) if number else (2,)))
    (expected / "P2" / "mask.nii.gz").unlink()
    source = fill(tmp_path / "source", layout, 3)
    label_file(tmp_path / "labels.json")
    run(expected, tmp_path / "one")
    report = run(source, tmp_path / "two")
    one, two = tree(tmp_path / "one" / NAME), tree(tmp_path / "two" / NAME)
    assert {k: v for k, v in two.items() if k.endswith(".gz")} == {
        k: v for k, v in one.items() if k.endswith(".gz")
    }
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
            read = read_patient(entry, mask_pattern=PATTERN, modality="CT", series=None)
            assert (read.image.size[2], len(read.mask.files)) == (6, 1)


def test_names_of_pairs_can_be_case_ids(tmp_path):
    report = run(fill(tmp_path / "src", "flat"), tmp_path / "raw", keep_names=True)
    assert sorted(report.cases) == ["P0", "P1"]


@pytest.mark.parametrize("layout", ["two trees", "flat"])
def test_a_mask_without_an_image_stops(tmp_path, layout):
    source = fill(tmp_path / "src", layout)
    nifti(source / LAYOUTS[layout][1].format(10), labels())
    (problem,) = problems(source)
    assert "P10" in problem
    assert "no image has the name of this mask" in problem
    with pytest.raises(DatasetError, match=r"P10.*no image has the name of this mask; rename"):
        run(source, tmp_path / "raw")


@pytest.mark.parametrize("layout", ["two trees", "flat"])
def test_a_mask_that_is_not_read_stops(tmp_path, layout):
    source = fill(tmp_path / "src", layout)
    mask = source / LAYOUTS[layout][1].format(1)
    mask.rename(mask.with_name(f"{mask.name.split('.')[0]}.tif"))
    with pytest.raises(DatasetError, match=r"P1\w*\.tif; save it as"):
        run(source, tmp_path / "raw")


def test_two_images_for_one_mask_are_listed(tmp_path):
    source = fill(tmp_path / "src", "flat")
    nifti(source / "P1_mr.nii.gz", ct(7))
    (problem,) = problems(source)
    assert "P1_ct.nii.gz" in problem
    assert "P1_mr.nii.gz: 2 images and 1 masks" in problem.replace(f"{source}/", "")


def test_full_names_decide_between_images_of_one_patient(tmp_path):
    for name in ("P1_ct", "P1_mr"):
        nifti(tmp_path / f"{name}.nii.gz", ct())
        nifti(tmp_path / f"{name}_mask.nii.gz", labels())
    nifti(tmp_path / "P10_ct.nii.gz", ct())
    found = {entry.where.name: entry for entry in entries(tmp_path)}
    assert [path.name for path in found["P1_mr.nii.gz"].masks] == ["P1_mr_mask.nii.gz"]
    assert [path.name for path in found["P1_ct.nii.gz"].masks] == ["P1_ct_mask.nii.gz"]
    assert found["P10_ct.nii.gz"].masks == ()


def test_numbers_are_compared_in_full(tmp_path):
    nifti(tmp_path / "case_1.nii.gz", ct())
    nifti(tmp_path / "case_11.nii.gz", ct())
    nifti(tmp_path / "case_11_seg.nii.gz", labels())
    found = {entry.where.name: len(entry.masks) for entry in entries(tmp_path)}
    assert found == {"case_1.nii.gz": 0, "case_11.nii.gz": 1}


def test_no_pair_at_all_names_the_layout(tmp_path):
    nifti(tmp_path / "images" / "a.nii.gz", ct())
    nifti(tmp_path / "labels" / "x.nii.gz", labels())
    with pytest.raises(DatasetError) as error:
        entries(tmp_path)
    assert "recognised as images in images/ and masks in labels/" in str(error.value)
    assert "images/a.nii.gz and labels/x.nii.gz; rename them" in str(error.value)
    assert "mask-pattern" not in str(error.value)


def test_several_channels_stop(tmp_path):
    for channel in range(2):
        nifti(tmp_path / "imagesTr" / f"P1_000{channel}.nii.gz", ct(channel))
    nifti(tmp_path / "labelsTr" / "P1.nii.gz", labels())
    with pytest.raises(DatasetError, match="several channels"):
        entries(tmp_path)


def test_bids_keeps_the_scans_of_a_subject_in_one_group(tmp_path):
    for session in (1, 2):
        stem = f"sub-a/ses-{session}/sub-a_ses-{session}"
        nifti(tmp_path / "rawdata" / f"{stem}_ct.nii.gz", ct(session))
        nifti(tmp_path / "derivatives" / f"{stem}_seg-vert_msk.nii.gz", labels())
    found = entries(tmp_path)
    assert [entry.group for entry in found] == ["sub-a", "sub-a"]
    assert [entry.masks[0].name for entry in found] == [
        "sub-a_ses-1_seg-vert_msk.nii.gz", "sub-a_ses-2_seg-vert_msk.nii.gz"
    ]  # fmt: skip


def test_two_sets_of_masks_in_bids_stop(tmp_path):
    source = fill(tmp_path / "src", "BIDS")
    shutil.copytree(source / "derivatives" / "labels", source / "derivatives" / "auto")
    with pytest.raises(DatasetError, match="derivatives/labels: 2 folders of masks"):
        entries(source)


def test_a_label_map_without_a_pair_is_not_an_image(tmp_path):
    source = fill(tmp_path / "src", "flat")
    nifti(source / "P7_final.nii.gz", labels())
    with pytest.raises(DatasetError, match=r"P7_final.nii.gz: .* holds only 3 distinct values"):
        run(source, tmp_path / "raw")


@pytest.mark.parametrize("layout", ["two trees", "VerSe", "nnU-Net"])
def test_a_folder_that_is_a_source_itself_is_named(tmp_path, layout):
    source = fill(tmp_path / "src" / "unpacked", layout)
    (source.parent / "labels.json").unlink()
    with pytest.raises(
        DatasetError, match=r"unpacked: not one patient's folder, but .*; pass it as"
    ):
        convert(source.parent, tmp_path / "raw", 660)
    assert len(entries(source)) == 2  # the fix that the message states


def test_a_folder_of_images_only_holds_patients_without_masks(tmp_path):
    for number in range(2):
        nifti(tmp_path / "images" / f"P{number}.nii.gz", ct(number))
    assert [entry.masks for entry in entries(tmp_path)] == [(), ()]


def test_a_source_that_is_one_patients_folder_stops(tmp_path):
    patient(tmp_path)
    with pytest.raises(DatasetError, match=r"2 images are not in a patient's folder \(ct\.nii\.gz"):
        entries(tmp_path)
    series(tmp_path / "s")
    with pytest.raises(DatasetError, match=r"6 images are not in a patient's folder"):
        entries(tmp_path / "s")


def test_images_next_to_folders_stop(tmp_path):
    patient(tmp_path / "P1")
    nifti(tmp_path / "P2.nii.gz", ct())
    with pytest.raises(DatasetError, match=r"1 images are not in a patient's folder.*P2\.nii\.gz"):
        entries(tmp_path)
    source = fill(tmp_path / "src", "two trees")
    nifti(source / "P2.nii.gz", ct())
    with pytest.raises(DatasetError, match=r"1 images are next to images in images/ and masks"):
        entries(source)


@pytest.mark.parametrize("layout", ["two trees", "VerSe"])
def test_other_folders_next_to_trees_may_not_hold_images(tmp_path, layout):
    source = fill(tmp_path / "src", layout)
    (source / "reports").mkdir()
    (source / "reports" / "P1.pdf").write_bytes(b"%PDF")
    assert len(entries(source)) == 2
    patient(source / "more")
    with pytest.raises(DatasetError, match=r"recognised as .*, but other folders .*: more; move"):
        entries(source)


def test_patients_whose_folders_have_words_of_trees_are_patients(tmp_path):
    for name in ("scan1", "scan2", "segmentation of P3"):
        patient(tmp_path / name)
    assert [entry.name for entry in entries(tmp_path)] == ["scan1", "scan2", "segmentation of P3"]


def test_a_missing_source_and_a_source_without_patients_stop(tmp_path):
    with pytest.raises(DatasetError, match="no such folder"):
        entries(tmp_path / "x")
    with pytest.raises(DatasetError, match="holds no patients"):
        entries(tmp_path)


def test_packed_patients_stop(tmp_path):
    (tmp_path / "P1.zip").write_bytes(b"PK")
    with pytest.raises(
        DatasetError, match=r"(?s)holds no patients.*P1\.zip: an archive; unpack it"
    ):
        entries(tmp_path)
    patient(tmp_path / "P2")
    (problem,) = problems(tmp_path)
    assert "P1.zip: an archive; unpack it into a folder" in problem
    patient(tmp_path / "P1")  # unpacked
    assert problems(tmp_path) == []


def test_links_to_patients_are_followed_on_request(tmp_path):
    for number in range(2):
        patient(tmp_path / "annex" / f"p{number}", number)
        folder = tmp_path / "src" / f"p{number}"
        folder.mkdir(parents=True)
        for name in ("ct.nii.gz", "mask.nii.gz"):
            (folder / name).symlink_to(f"../../annex/p{number}/{name}")
    label_file(tmp_path / "labels.json")
    with pytest.raises(DatasetError, match=r"p0/ct\.nii\.gz: a symbolic link; pass --follow-links"):
        run(tmp_path / "src", tmp_path / "raw")
    assert run(tmp_path / "src", tmp_path / "raw", follow_links=True).written == 2


def test_masks_in_a_folder_next_to_the_patients(tmp_path):
    for number in range(3):
        nifti(tmp_path / f"P{number}" / "ct.nii.gz", ct(number))
    nifti(tmp_path / "GT" / "P0.nii.gz", labels())
    nifti(tmp_path / "GT" / "P1_mask.nii.gz", labels())
    found, notes = find_entries(tmp_path, PATTERN)
    assert [entry.masks and entry.masks[0].name for entry in found] == [
        "P0.nii.gz", "P1_mask.nii.gz", None,
    ]  # fmt: skip
    assert "masks in GT/ next to the patients' folders, paired by name: 2 pairs" in notes[0]


def test_a_mask_is_next_to_one_folder_and_in_another(tmp_path):
    patient(tmp_path / "P0")
    nifti(tmp_path / "P1" / "ct.nii.gz", ct(1))
    nifti(tmp_path / "P1_mask.nii.gz", labels())
    how = {"mask_pattern": PATTERN, "modality": "CT", "series": None}
    found = [read_patient(entry, **how).mask.path.name for entry in entries(tmp_path)]
    assert found == ["mask.nii.gz", "P1_mask.nii.gz"]


def test_two_folders_of_unknown_names_are_named(tmp_path):
    for number in range(2):
        nifti(tmp_path / "foo" / f"P{number}.nii.gz", ct(number))
        nifti(tmp_path / "bar" / f"P{number}.nii.gz", labels())
    with pytest.raises(
        DatasetError, match=r"same names are in bar/ and foo/.*rename them to images"
    ):
        entries(tmp_path)


def test_two_patients_with_files_of_the_same_names_are_patients(tmp_path):
    for number in range(2):
        nifti(tmp_path / f"P{number}" / "1.nii.gz", ct(number))
        nifti(tmp_path / f"P{number}" / "2.nii.gz", labels())
    assert len(entries(tmp_path)) == 2


@pytest.mark.parametrize("layout", ["two trees", "flat"])
def test_accents_of_macos_pair(tmp_path, layout):
    image, mask = LAYOUTS[layout]
    nifti(tmp_path / image.format("M\u00fcller"), ct())
    nifti(tmp_path / mask.format("Mu\u0308ller"), labels())
    nifti(tmp_path / image.format("Li"), ct(1))
    found = entries(tmp_path)
    assert sorted(bool(entry.masks) for entry in found) == [False, True]


@pytest.mark.parametrize("layout", ["two trees", "flat", "masks next to folders"])
def test_archives_next_to_any_layout_stop(tmp_path, layout):
    fill(tmp_path / "source", layout)
    (tmp_path / "source" / "labels2.zip").write_bytes(b"PK")
    found = problems(tmp_path / "source")
    assert any("labels2.zip: an archive; unpack it" in problem for problem in found)


def test_folders_within_trees_do_not_count_if_file_names_are_unique(tmp_path):
    for number in range(2):
        nifti(tmp_path / "images" / f"P{number}.nii.gz", ct(number))
        nifti(tmp_path / "labels" / "final" / f"P{number}.nii.gz", labels())
    assert all(entry.masks for entry in entries(tmp_path))
    nifti(tmp_path / "labels" / "draft" / "P0.nii.gz", labels())
    with pytest.raises(DatasetError, match="no image and mask have the same name"):
        entries(tmp_path)


def test_several_images_of_each_mask_are_listed(tmp_path):
    for kind in ("T1w", "T2w"):
        nifti(tmp_path / "sub-1" / f"sub-1_{kind}.nii.gz", ct())
    nifti(tmp_path / "derivatives" / "sub-1" / "sub-1_dseg.nii.gz", labels())
    with pytest.raises(DatasetError, match=r"2 images and 1 masks .* have the same name"):
        entries(tmp_path)


def test_a_folder_of_patients_in_the_source_is_named(tmp_path):
    for number in range(2):
        patient(tmp_path / "data" / f"P{number}", number)
    (entry,) = entries(tmp_path)
    with pytest.raises(
        DatasetError, match=r"pass .*data as the source if its folders are patients"
    ):
        read_patient(entry, mask_pattern=PATTERN, modality="CT", series=None)


def test_temporary_folders_with_images_are_noted(tmp_path):
    patient(tmp_path / "P0")
    patient(tmp_path / "P1.tmp", 1)
    found, notes = find_entries(tmp_path, PATTERN)
    assert len(found) == 1
    assert notes == ["temporary folders (.tmp) with images, passed over: 1"]


HOW = {"mask_pattern": PATTERN, "modality": "CT", "series": None}


@pytest.mark.parametrize("ending", ["mhd", "mha"])
def test_headers_with_data_files_are_paired_in_trees(tmp_path, ending):
    for number in range(2):
        for tree_, array in (("images", ct(number)), ("labels", labels())):
            path = tmp_path / tree_ / f"P{number}.{ending}"
            path.parent.mkdir(exist_ok=True)
            sitk.WriteImage(image(array), str(path))
    found = entries(tmp_path)
    assert len(found) == 2
    assert [read_patient(entry, **HOW).mask.path.name for entry in found] == [
        f"P0.{ending}", f"P1.{ending}",
    ]  # fmt: skip


def test_a_place_without_its_mask_stops(tmp_path):
    for number in range(2):
        nifti(tmp_path / "images" / f"P{number}.nii.gz", ct(number))
    nifti(tmp_path / "labels" / "P0.nii.gz", labels())
    (tmp_path / "labels" / "P1").mkdir()
    with pytest.raises(DatasetError, match=r"the place of its mask, .*labels/P1, holds none"):
        read_patient(entries(tmp_path)[1], **HOW)


def test_an_unfinished_mask_in_a_tree_stops(tmp_path):
    nifti(tmp_path / "images" / "P0.nii.gz", ct())
    nifti(tmp_path / "images" / "P1.nii.gz", ct(1))
    nifti(tmp_path / "labels" / "P0.nii.gz", labels())
    (tmp_path / "labels" / "P1.nii.gz.tmp").write_bytes(b"x")
    (tmp_path / "labels" / "editor.tmp7").write_bytes(b"x")
    with pytest.raises(DatasetError, match=r"but is not read: P1\.nii\.gz\.tmp"):
        read_patient(entries(tmp_path)[1], **HOW)


def test_a_mask_next_to_the_image_and_one_in_the_folder_of_masks_stop(tmp_path):
    patient(tmp_path / "P0")
    nifti(tmp_path / "masks" / "P0.nii.gz", labels())
    with pytest.raises(DatasetError, match=r"2 masks, expected one: P0/mask\.nii\.gz, .*masks/P0"):
        read_patient(entries(tmp_path)[0], **HOW)


def test_slices_of_all_patients_in_one_folder_stop_with_what_to_do(tmp_path):
    series(tmp_path / "images")
    nifti(tmp_path / "labels" / "P0.nii.gz", labels())
    with pytest.raises(DatasetError, match="put the slices of each patient into a folder with"):
        entries(tmp_path)
