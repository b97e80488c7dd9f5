"""The writer, with datasets in memory: no source folders, no DICOM."""

import json
from dataclasses import replace
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.cases.case import Output
from dataset_conversion.cases.transforms import DropEmptySlices
from dataset_conversion.errors import DatasetError
from dataset_conversion.io import atomic_files as files
from dataset_conversion.io import nifti_writer as nifti
from dataset_conversion.io.geometry import affine
from dataset_conversion.labels import Labels
from dataset_conversion.parallel import Run
from dataset_conversion.raw_format import staging
from tests.dataset_conversion.in_memory import FOLDER, case, dataset
from tests.dataset_conversion.making import AFFINE, ct, image, labels, tree

OVERWRITE = Run(overwrite=True)


def read(path):
    found = sitk.ReadImage(str(path))
    return sitk.GetArrayFromImage(found), affine(found)


def test_the_folder_has_the_layout_that_nnunet_expects(tmp_path):
    report = dataset().write(tmp_path)
    folder = tmp_path / FOLDER
    assert report.dataset == folder
    assert (report.written, report.skipped) == (3, 0)
    assert sorted(tree(folder)) == sorted(
        ["imagesTr/a_0000.nii.gz", "imagesTr/b_0000.nii.gz", "imagesTs/t_0000.nii.gz",
         "labelsTr/a.nii.gz", "labelsTr/b.nii.gz", "conversion.json", "dataset.json",
         "preview.png", "splits_final.json"]
    )  # fmt: skip
    assert [p.name for p in tmp_path.iterdir()] == [FOLDER]
    assert json.loads((folder / "dataset.json").read_text()) == {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "sacrum": 1, "left ilium": 2},
        "numTraining": 2,
        "file_ending": ".nii.gz",
        "overwrite_image_reader_writer": "SimpleITKIO",
        "nnunet_plugins": {
            "orientation": "LPS", "window": None, "steps": [], "left_right_axis": 2,
            "sided_labels": ["left ilium"]},
    }  # fmt: skip
    array, matrix = read(folder / "imagesTr" / "b_0000.nii.gz")
    np.testing.assert_array_equal(array, ct(2))
    assert array.dtype == np.int16
    np.testing.assert_allclose(matrix, AFFINE, atol=1e-4)
    np.testing.assert_array_equal(read(folder / "labelsTr" / "a.nii.gz")[0], labels())
    assert report.voxels["sacrum"] == 2 * int((labels() == 1).sum())


def test_images_in_any_order_are_written_in_lps(tmp_path):
    stored = sitk.DICOMOrient(image(ct(1)), "RAS")
    dataset(case("a", 1, images=(stored,)), case("b", 2)).write(tmp_path)
    array, matrix = read(tmp_path / FOLDER / "imagesTr" / "a_0000.nii.gz")
    np.testing.assert_array_equal(array, ct(1))
    np.testing.assert_allclose(matrix, AFFINE, atol=1e-4)


def test_two_channels_make_two_files_on_one_grid(tmp_path):
    pair = (image(ct(1)), image(ct(9)))
    dataset(case("a", 1, images=pair), channel_names=("T1", "T2")).write(tmp_path)
    folder = tmp_path / FOLDER / "imagesTr"
    np.testing.assert_array_equal(read(folder / "a_0001.nii.gz")[0], ct(9))
    moved = AFFINE.copy()
    moved[0, 3] += 1
    wrong = case("b", 2, images=(image(ct(1)), image(ct(2), moved)))
    with pytest.raises(DatasetError, match="/src/b: channel 1 is on another grid"):
        dataset(wrong, channel_names=("T1", "T2"), id=8).write(tmp_path)


def test_the_window_maps_to_zero_and_one(tmp_path):
    out = Output(window=(-200, 600))
    dataset(output=out, channel_names=("noNorm",)).write(tmp_path)
    array, _ = read(tmp_path / FOLDER / "imagesTr" / "a_0000.nii.gz")
    assert array.dtype == np.float32
    np.testing.assert_allclose(array, (np.clip(ct(1), -200.0, 600) + 200) / 800, atol=1e-6)


def test_fractions_are_kept_as_float32(tmp_path):
    half = image(ct(1).astype(np.float32) + np.float32(0.5))
    dataset(case("a", 1, images=(half,))).write(tmp_path)
    array, _ = read(tmp_path / FOLDER / "imagesTr" / "a_0000.nii.gz")
    np.testing.assert_array_equal(array, ct(1) + np.float32(0.5))


def test_empty_slices_are_dropped_and_the_others_stay_in_place(tmp_path):
    dataset(output=Output(steps=(DropEmptySlices(),))).write(tmp_path)
    folder = tmp_path / FOLDER
    for name, whole in (("imagesTr/a_0000", ct(1)), ("labelsTr/a", labels())):
        array, matrix = read(folder / f"{name}.nii.gz")
        np.testing.assert_array_equal(array, whole[2:5])
        np.testing.assert_allclose(matrix[:3, 3], AFFINE[:3, 3] + [0, 0, 2 * 2.5], atol=1e-4)
    assert read(folder / "imagesTs" / "t_0000.nii.gz")[0].shape == ct().shape


def test_running_again_writes_nothing(tmp_path):
    dataset().write(tmp_path)
    folder = tmp_path / FOLDER
    before = {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in folder.rglob("*")}
    report = dataset().write(tmp_path)
    assert (report.written, report.skipped) == (0, 3)
    assert before == {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in folder.rglob("*")}


def test_the_same_cases_give_the_same_bytes(tmp_path):
    dataset().write(tmp_path / "one")
    shuffled = [case("t", 3, mask=False), case("b", 2), case("a", 1)]
    dataset(*shuffled).write(tmp_path / "two")
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_changed_new_and_removed_cases(tmp_path):
    dataset().write(tmp_path)
    folder = tmp_path / FOLDER
    kept = (folder / "imagesTr" / "a_0000.nii.gz").stat().st_ino
    report = dataset(case("a", 1), case("b", 5), case("c", 6)).write(tmp_path, run=OVERWRITE)
    assert (report.written, report.skipped) == (2, 1)
    assert any("removed, no longer in the source: t" in note for note in report.notes)
    assert any("splits_final.json has changed" in note for note in report.notes)
    assert (folder / "imagesTr" / "a_0000.nii.gz").stat().st_ino == kept  # a hard link
    np.testing.assert_array_equal(read(folder / "imagesTr" / "b_0000.nii.gz")[0], ct(5))
    assert not (folder / "imagesTs").exists()
    dataset(case("a", 1), case("b", 5), case("c", 6)).write(tmp_path / "fresh")
    assert tree(folder) == tree(tmp_path / "fresh" / FOLDER)


def test_without_hard_links_files_are_copied(tmp_path, monkeypatch):
    def none(*_):
        raise OSError("no links here")

    dataset().write(tmp_path)
    monkeypatch.setattr(files.os, "link", none)
    dataset(case("a", 1), case("b", 2)).write(tmp_path, run=OVERWRITE)
    np.testing.assert_array_equal(read(tmp_path / FOLDER / "imagesTr" / "a_0000.nii.gz")[0], ct(1))


def test_other_settings_convert_again(tmp_path):
    dataset().write(tmp_path)
    swapped = Labels({"left ilium": 1, "sacrum": 2})
    assert dataset(labels=swapped).write(tmp_path).written == 3
    assert dataset(labels=swapped).write(tmp_path).written == 0


def test_a_file_that_was_changed_is_converted_again(tmp_path):
    dataset().write(tmp_path)
    path = tmp_path / FOLDER / "labelsTr" / "a.nii.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    report = dataset().write(tmp_path, run=OVERWRITE)
    assert (report.written, report.skipped) == (1, 2)
    assert any("changed after the conversion" in note for note in report.notes)
    assert path.read_bytes() == whole


def test_an_interrupted_conversion_is_continued(tmp_path):
    loaded = []

    def counted(one):
        def load():
            loaded.append(one.name)
            return one.load()

        return replace(one, load=load)

    cases = [counted(c) for c in dataset().cases]

    def killed_after_one(items):
        for number, item in enumerate(items):
            if number == 1:
                raise KeyboardInterrupt
            yield item

    with pytest.raises(KeyboardInterrupt):
        dataset(*cases).write(tmp_path, killed_after_one)
    assert [p.name for p in tmp_path.iterdir()] == [f".{FOLDER}.converting"]
    report = dataset(*cases).write(tmp_path)
    assert loaded == ["a", "b", "t"]  # none twice
    assert (report.written, report.skipped) == (2, 1)
    dataset().write(tmp_path / "fresh")
    assert tree(tmp_path / FOLDER) == tree(tmp_path / "fresh" / FOLDER)


@pytest.mark.parametrize("at", [FOLDER, f".{FOLDER}.converting"])
def test_killed_at_either_rename_of_the_swap(tmp_path, monkeypatch, at):
    dataset().write(tmp_path)
    changed = [case("a", 1), case("b", 5)]
    rename = staging.Path.rename

    def killed(self, target):
        if self.name == at:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(staging.Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        dataset(*changed).write(tmp_path, run=OVERWRITE)
    monkeypatch.undo()
    report = dataset(*changed).write(tmp_path, run=OVERWRITE)
    assert report.written == 0  # all was there already
    assert sorted(p.name for p in tmp_path.iterdir()) == [FOLDER, f"replaced_{FOLDER}"]
    dataset(*changed).write(tmp_path / "fresh")
    assert tree(tmp_path / FOLDER) == tree(tmp_path / "fresh" / FOLDER)


def test_a_disk_that_loses_bytes_is_detected(tmp_path, monkeypatch):
    send = nifti._send

    def losing(volume, path, mark):
        sent = send(volume, path, mark)
        whole = bytearray(path.read_bytes())
        whole[len(whole) // 2] ^= 1
        path.write_bytes(whole)
        return sent

    monkeypatch.setattr(nifti, "_send", losing)
    with pytest.raises(DatasetError, match="the bytes read back differ"):
        dataset().write(tmp_path)
    assert not (tmp_path / FOLDER).exists()


def test_a_full_disk_is_detected_before_writing(tmp_path, monkeypatch):
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    with pytest.raises(DatasetError, match=r"0\.0 MiB free, up to"):
        dataset().write(tmp_path / "raw")
    assert not (tmp_path / "raw").exists()


def test_all_bad_cases_are_reported_together_and_good_ones_kept(tmp_path):
    empty = np.zeros_like(labels())
    cases = [case("a", 1), case("b", 2, array=empty), case("c", 3, array=labels(values=(1, 60)))]
    with pytest.raises(DatasetError, match=r"(?s)2 problems.*/src/b: the mask is empty.*\[60\]"):
        dataset(*cases).write(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [f".{FOLDER}.converting"]
    assert dataset(case("a", 1), case("b", 2)).write(tmp_path).written == 1


def test_leftovers_of_a_failed_run_are_removed_with_the_bad_case(tmp_path):
    dataset().write(tmp_path)
    bad = case("z", 9, array=labels(values=(60,)))
    with pytest.raises(DatasetError, match=r"label values \[60\]"):
        dataset(*dataset().cases, bad).write(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    assert dataset().write(tmp_path).written == 0
    assert [p.name for p in tmp_path.iterdir()] == [FOLDER]


def test_an_empty_mask_must_be_allowed(tmp_path):
    cases = [case("a", 1), case("b", 2, array=np.zeros_like(labels()))]
    report = dataset(*cases, output=Output(allow_empty=True)).write(tmp_path)
    assert report.written == 2


def test_a_label_that_never_occurs_is_reported_with_counts(tmp_path):
    report = dataset(labels=Labels({"sacrum": 1, "left ilium": 2, "L5": 3})).write(tmp_path)
    assert any("['L5'] occur in no case" in n and "sacrum 96" in n for n in report.notes)


def test_one_group_has_no_folds_but_a_note(tmp_path):
    report = dataset(case("a", 1, group="p"), case("b", 2, group="p")).write(tmp_path)
    assert not (tmp_path / FOLDER / "splits_final.json").exists()
    assert any("fold `all`" in note for note in report.notes)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"id": 0}, "dataset id 0 is not allowed; choose one from 1 to 999"),
        ({"id": 1000}, "dataset id 1000"),
        ({"name": "My_Set"}, "dataset name 'My_Set': only letters"),
        ({"cases": [case("a"), case("A", 1)]}, "/src/A and /src/a .* differ only in upper"),
        ({"cases": [case("a"), case("a")]}, "same case id"),
        ({"cases": [case("t", mask=False)]}, "no case has a mask"),
    ],
)
def test_invalid_datasets_stop_before_anything_is_written(tmp_path, how, message):
    with pytest.raises(DatasetError, match=message):
        dataset(**how).write(tmp_path / "raw")
    assert not (tmp_path / "raw").exists()


def test_folders_of_other_tools_are_not_touched(tmp_path):
    (tmp_path / "Dataset007_Other").mkdir()
    with pytest.raises(DatasetError, match="Dataset007_Other: this folder has the dataset id 007"):
        dataset().write(tmp_path)
    (tmp_path / "Dataset007_Other").rename(tmp_path / FOLDER)
    with pytest.raises(DatasetError, match="was not made by this tool"):
        dataset().write(tmp_path)


def test_an_orphan_label_stops(tmp_path):
    dataset().write(tmp_path)
    (tmp_path / FOLDER / "labelsTr" / "x.nii.gz").write_bytes(b"?")
    (tmp_path / FOLDER / "labelsTr" / "._a.nii.gz").write_bytes(b"?")  # ignored
    with pytest.raises(DatasetError, match=r"belong to no case: labelsTr/x\.nii\.gz;"):
        dataset().write(tmp_path)


@pytest.mark.parametrize("name", ["README.txt", "labelsTs/deeper/t.nii.gz"])
def test_files_of_the_user_are_kept(tmp_path, name):
    dataset().write(tmp_path)
    mine = tmp_path / FOLDER / name
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.write_text("mine")
    dataset(output=Output(window=(-200, 1200)), channel_names=("noNorm",)).write(tmp_path)
    dataset(case("a", 1)).write(tmp_path, run=OVERWRITE)
    assert mine.read_text() == "mine"


def test_header_texts_are_not_written(tmp_path):
    named = image(ct(1))
    named.SetMetaData("descrip", "Doe^Jane")
    dataset(case("a", 1, images=(named,))).write(tmp_path)
    path = tmp_path / FOLDER / "imagesTr" / "a_0000.nii.gz"
    assert nib.load(path).header["descrip"] == b""


def test_a_second_conversion_at_the_same_time_is_refused(tmp_path):
    seen = []

    def meanwhile(cases):
        with pytest.raises(DatasetError, match="another conversion of this dataset is running"):
            dataset().write(tmp_path)
        seen.append(True)
        return cases

    dataset().write(tmp_path, progress=meanwhile)
    assert seen == [True]
    assert dataset().write(tmp_path).skipped == 3  # the lock ended with the run


@pytest.mark.parametrize("text", ["[1]", '{"cases": [1]}', '{"cases": {"a": {"x": 1}}}', "{"])
def test_a_malformed_manifest_gives_one_sentence(tmp_path, text):
    dataset().write(tmp_path)
    (tmp_path / FOLDER / "conversion.json").write_text(text)
    with pytest.raises(DatasetError, match=r"conversion.json: damaged, or written by another"):
        dataset().write(tmp_path)
