"""Runs of a conversion: parallel, dry, with bad cases, on a full disk, anonymous."""

import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.cases.case import Output, Sample
from dataset_conversion.checks.dataset import check
from dataset_conversion.errors import DatasetError, DiskError
from dataset_conversion.io.atomic_files import digest, digest_json
from dataset_conversion.labels import Labels
from dataset_conversion.parallel import Run, each
from dataset_conversion.raw_format.splits import Splits
from tests.dataset_conversion import in_memory
from tests.dataset_conversion.in_memory import FOLDER, case
from tests.dataset_conversion.making import ct, image, labels, tree

pytestmark = pytest.mark.usefixtures("no_picture")


def dataset(*cases, **how):
    usual = (case("a", 1), case("b", 2), case("c", 3), case("t", 4, mask=False))
    return in_memory.dataset(*(cases or usual), **how)


def bad(name, seed):
    return case(name, seed, array=labels(values=(1, 60)))


# Parallel


@pytest.mark.parametrize("jobs", [1, 3])
def test_at_most_jobs_items_are_in_progress_and_all_are_done(jobs):
    lock, now, most = threading.Lock(), 0, 0

    def work(number):
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.01)
        with lock:
            now -= 1
        if number == 4:
            raise DatasetError("four")
        return -number

    done = dict(each(work, range(12), jobs))
    assert most == jobs
    assert str(done.pop(4)) == "four"
    assert done == {n: -n for n in range(12) if n != 4}


def test_items_are_taken_only_when_a_worker_is_free():
    taken = []

    def listed(items):
        for item in items:
            taken.append(item)
            yield item

    steps = each(lambda item: item, range(50), 2, listed)
    next(steps)
    assert len(taken) <= 4
    assert len(list(steps)) == 49


def test_the_bytes_do_not_depend_on_the_number_of_workers(tmp_path):
    for jobs in (1, 4):
        dataset().write(tmp_path / str(jobs), run=Run(jobs=jobs))
    assert tree(tmp_path / "1") == tree(tmp_path / "4")


@pytest.mark.parametrize("jobs", [0, -1, 10**6])
def test_invalid_numbers_of_workers_stop(jobs):
    with pytest.raises(DatasetError, match=f"-j {jobs}: allowed are 1 to"):
        Run(jobs=jobs)


# Dry run


def test_a_dry_run_reports_everything_and_writes_nothing(tmp_path):
    report = dataset().write(tmp_path / "raw", run=Run(dry_run=True))
    assert not list(tmp_path.iterdir())
    wet = dataset().write(tmp_path / "raw")
    assert replace(report, dry_run=False) == wet
    text = str(report)
    for part in ("dry run: nothing was written", "4 cases would be converted", "3 cases for training",
                 "1 for testing", "sacrum: 144 voxels in 3 cases", "0.8 x 0.9 x 2.5 (4)", "LPS (4)",
                 "folds (training + validation cases): 2+1, 2+1, 2+1"):  # fmt: skip
        assert part in text


def test_a_dry_run_reports_all_bad_cases(tmp_path):
    report = dataset(case("a", 1), bad("b", 2), bad("c", 3)).write(tmp_path, run=Run(dry_run=True))
    assert len(report.problems) == 2
    assert "left out: /src/b: label values [60]" in str(report)
    assert str(report).endswith("stops at these problems; --keep-going leaves such cases out")
    assert not list(tmp_path.iterdir())


def test_a_dry_run_that_keeps_going_does_not_stop(tmp_path):
    run = Run(dry_run=True, keep_going=True)
    report = dataset(case("a", 1), bad("b", 2)).write(tmp_path, run=run)
    assert "left out: /src/b" in str(report)
    assert "stops" not in str(report)


def test_a_dry_run_does_not_change_a_finished_dataset(tmp_path):
    dataset().write(tmp_path)
    before = {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in tmp_path.rglob("*")}
    changed = dataset(case("a", 1), case("b", 9))
    report = changed.write(tmp_path, run=Run(dry_run=True))
    assert "no longer in the source: c, t; of another image now: b" in report.problems[0]
    report = changed.write(tmp_path, run=Run(dry_run=True, overwrite=True))
    assert (report.written, report.skipped) == (1, 1)
    assert any("removed, no longer in the source: c, t" in note for note in report.notes)
    assert before == {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in tmp_path.rglob("*")}


# Bad cases


def test_keep_going_leaves_bad_cases_out_and_writes_the_rest(tmp_path):
    cases = [case("a", 1), bad("b", 2), case("c", 3), case("d", 4)]
    report = dataset(*cases).write(tmp_path / "x", run=Run(keep_going=True))
    assert report.cases == {"a", "c", "d"}
    assert (report.written, report.skipped) == (3, 0)
    assert report.problems == (
        "/src/b: label values [60] are not listed (known: 0-2); add them to the labels file, or "
        "pass --drop 60 to send them to background",
    )
    folder = tmp_path / "x" / FOLDER
    assert json.loads((folder / "dataset.json").read_text())["numTraining"] == 3
    assert not [name for name in tree(folder) if "/b" in name]
    assert json.loads((folder / "conversion.json").read_text())["left_out"] == 1
    assert b"/src" not in b"".join(tree(folder).values())
    splits = json.loads((folder / "splits_final.json").read_text())
    assert sorted(c for fold in splits for c in fold["val"]) == ["a", "c", "d"]
    assert not check(folder).errors


def test_sources_that_share_an_id_are_both_left_out(tmp_path):
    cases = [case("a", 1), case("b", 2), case("B", 3), case("c", 4)]
    report = dataset(*cases).write(tmp_path, run=Run(keep_going=True))
    assert report.cases == {"a", "c"}
    assert "/src/B and /src/b" in report.problems[0]


def test_without_remaining_cases_nothing_is_written(tmp_path):
    with pytest.raises(DatasetError, match=r"(?s)\[60\].*no training case is left"):
        dataset(bad("a", 1)).write(tmp_path, run=Run(keep_going=True))
    assert not (tmp_path / FOLDER).exists()


def test_a_corrected_case_joins_the_others(tmp_path):
    dataset(case("a", 1), bad("b", 2), case("c", 3)).write(tmp_path, run=Run(keep_going=True))
    report = dataset(case("a", 1), case("b", 5), case("c", 3)).write(tmp_path)
    assert (report.written, report.skipped) == (1, 2)
    dataset(case("a", 1), case("b", 5), case("c", 3)).write(tmp_path / "fresh")
    assert tree(tmp_path / FOLDER) == tree(tmp_path / "fresh" / FOLDER)


def test_a_source_that_disappears_is_a_bad_case_not_a_full_disk(tmp_path):
    def load():
        raise FileNotFoundError(2, "No such file or directory")

    with pytest.raises(DatasetError, match=r"/src/b: cannot be read \(No such file"):
        dataset(case("a", 1), case("b", 2, load=load)).write(tmp_path)


def test_invalid_subsets_stop_before_anything_is_read(tmp_path):
    def load():
        raise AssertionError("read too early")

    with pytest.raises(DatasetError, match="--split own: 2 cases have no subset"):
        dataset(case("a", 1, load=load), case("b", 2, load=load), splits=Splits("own")).write(
            tmp_path
        )


# Test sets


def test_a_test_set_goes_to_its_folders_with_its_masks(tmp_path):
    cases = [case(n, i, subset=s) for i, (n, s) in enumerate(
        [("a", "train"), ("b", "train"), ("c", "val"), ("d", "test"), ("e", "test")])]  # fmt: skip
    report = dataset(*cases, splits=Splits("own")).write(tmp_path)
    folder = tmp_path / FOLDER
    assert sorted(p.name for p in (folder / "labelsTs").iterdir()) == ["d.nii.gz", "e.nii.gz"]
    assert len(list((folder / "imagesTr").iterdir())) == 3
    assert json.loads((folder / "dataset.json").read_text())["numTraining"] == 3
    assert json.loads((folder / "splits_final.json").read_text()) == [
        {"train": ["a", "b"], "val": ["c"]}
    ]
    assert report.test == {"d", "e"}
    assert not check(folder).errors


def test_another_test_set_moves_cases_as_in_a_new_conversion(tmp_path):
    dataset().write(tmp_path)
    report = dataset(splits=Splits(test="1:1")).write(tmp_path)
    assert report.written == len(report.test) - 1 == 2  # `t` has no mask and was there before
    dataset(splits=Splits(test="1:1")).write(tmp_path / "fresh")
    assert tree(tmp_path / FOLDER) == tree(tmp_path / "fresh" / FOLDER)


def test_masks_that_a_user_drew_for_test_cases_are_kept(tmp_path):
    dataset().write(tmp_path)
    mine = tmp_path / FOLDER / "labelsTs" / "t.nii.gz"
    mine.parent.mkdir()
    mine.write_bytes(b"drawn by hand")
    dataset(splits=Splits(test="1:1")).write(tmp_path)
    assert mine.read_bytes() == b"drawn by hand"
    assert len(list(mine.parent.iterdir())) == 3


def test_an_unlabelled_case_of_a_training_patient_is_reported(tmp_path):
    cases = [case("a", 1), case("b", 2), case("a2", 3, mask=False, group="a")]
    notes = dataset(*cases).write(tmp_path).notes
    assert any("1 cases without a mask in imagesTs are of patients" in note for note in notes)


# The manifest


def test_the_manifest_records_sources_settings_and_versions(tmp_path):
    dataset(settings={"padding": "-1000 -> 0"}, labels=Labels({"sacrum": 1}, drop=(2,)),
            output=Output(allow_empty=True)).write(tmp_path)  # fmt: skip
    folder = tmp_path / FOLDER
    manifest = json.loads((folder / "conversion.json").read_text())
    entry = manifest["cases"]["b"]
    assert entry["sources"] == {"image": "digest2", "mask": "m"}
    assert entry["grid"] == {"size": [14, 12, 6], "spacing": [0.8, 0.9, 2.5], "orientation": "LPS"}
    assert "SimpleITK " in entry["made_with"]
    for name, sha in {**entry["files"], **manifest["files"]}.items():
        assert digest(folder / name) == sha
    settings = manifest["settings"]
    assert (settings["drop"], settings["allow_empty"], settings["resample_mask"]) == (
        [2],
        True,
        False,
    )
    assert settings["padding"] == "-1000 -> 0"
    assert digest_json(settings) == entry["settings"]
    assert manifest["splits"] == {"split": "5-fold", "test": "", "seed": 0}


def test_patients_are_numbers_in_the_manifest(tmp_path):
    cases = [
        case("a", 1, group="Doe^Jane"),
        case("b", 2, group="x"),
        case("c", 3, group="Doe^Jane"),
    ]
    dataset(*cases).write(tmp_path)
    text = (tmp_path / FOLDER / "conversion.json").read_text()
    assert json.loads(text)["patients"] == {"a": 1, "b": 2, "c": 1}
    assert "Doe" not in text


def test_settings_of_voxels_convert_again_and_splits_do_not(tmp_path):
    dataset().write(tmp_path)
    assert dataset(splits=Splits("3-fold", seed=3)).write(tmp_path).written == 0
    assert dataset(settings={"padding": "other"}).write(tmp_path).written == 4
    assert dataset(output=Output(orientation="RAS")).write(tmp_path).written == 4
    entry = json.loads((tmp_path / FOLDER / "dataset.json").read_text())
    assert entry["nnunet_plugins"]["orientation"] == "RAS"


def test_the_left_right_axis_follows_the_orientation(tmp_path):
    dataset(output=Output(orientation="PIR")).write(tmp_path)
    entry = json.loads((tmp_path / FOLDER / "dataset.json").read_text())["nnunet_plugins"]
    written = sitk.ReadImage(str(tmp_path / FOLDER / "labelsTr" / "a.nii.gz"))
    array = sitk.GetArrayFromImage(written)
    assert array.shape[entry["left_right_axis"]] == ct().shape[2]
    expected = sitk.GetArrayFromImage(sitk.DICOMOrient(image(labels()), "PIR"))
    np.testing.assert_array_equal(array, expected)


# A full disk


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize(
    "file",
    ["unfinished_b_0000.nii.gz", "unfinished_b.nii.gz", "b.json", "dataset.json",
     "splits_final.json", "conversion.json"],
)  # fmt: skip
def test_a_full_disk_gives_one_sentence_and_leaves_nothing_that_looks_complete(tmp_path, file):
    scratch = tmp_path / f".{FOLDER}.converting" / "scratch"
    scratch.mkdir(parents=True)
    (scratch / file).symlink_to("/dev/full")
    with pytest.raises(DiskError, match=r"the disk is full .*make room.* finished cases are kept"):
        dataset().write(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [f".{FOLDER}.converting"]
    for path in scratch.parent.rglob("*.nii.gz"):
        assert path.parent == scratch or sitk.ReadImage(str(path)).GetSize() == (14, 12, 6)
    if (scratch / file).is_symlink():
        (scratch / file).unlink()  # make room
    dataset().write(tmp_path)
    dataset().write(tmp_path / "fresh")
    assert tree(tmp_path / FOLDER) == tree(tmp_path / "fresh" / FOLDER)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_stops_at_once_even_with_keep_going(tmp_path):
    scratch = tmp_path / f".{FOLDER}.converting" / "scratch"
    scratch.mkdir(parents=True)
    (scratch / "unfinished_a_0000.nii.gz").symlink_to("/dev/full")
    loaded = []

    def load():
        loaded.append(True)
        return Sample((image(ct(3)),), image(labels()))

    cases = [case("a", 1), *(case(f"b{i}", i, load=load) for i in range(5))]
    with pytest.raises(DiskError):
        dataset(*cases).write(tmp_path, run=Run(keep_going=True))
    assert not loaded
