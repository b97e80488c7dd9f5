"""What an earlier conversion holds is not lost: corrected masks, cases of another source, damaged sources."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.cases.case import Case, Output, Sample
from dataset_conversion.checks.dataset import check
from dataset_conversion.errors import DatasetError
from dataset_conversion.parallel import Run
from dataset_conversion.raw_format.splits import Splits
from tests.dataset_conversion.in_memory import FOLDER, case, dataset
from tests.dataset_conversion.making import ct, image, labels, tree

OVERWRITE, GOING = Run(overwrite=True), Run(keep_going=True)
pytestmark = pytest.mark.usefixtures("no_picture")


def broken():
    raise DatasetError("/src/b: is truncated")


def abc():
    return case("a", 1), case("b", 2), case("c", 3)


def correct(path):
    mask = sitk.ReadImage(str(path))
    mask[0, 0, 0] = 1
    sitk.WriteImage(mask, str(path))
    return path.read_bytes()


def copies(raw):
    return tree(raw / f"replaced_{FOLDER}")


@pytest.mark.parametrize("file", ["labelsTr/a.nii.gz", "imagesTr/a_0000.nii.gz"])
def test_a_file_corrected_by_hand_stops_the_next_conversion(tmp_path, file):
    dataset(*abc()).write(tmp_path)
    mine = correct(tmp_path / FOLDER / file)
    before = tree(tmp_path)
    with pytest.raises(DatasetError, match=rf"changed after the conversion: {file}\).*--overwrite"):
        dataset(*abc(), case("d", 4)).write(tmp_path)
    assert tree(tmp_path) == before
    report = dataset(*abc()).write(tmp_path, run=OVERWRITE)
    assert report.written == 1
    (kept,) = [content for name, content in copies(tmp_path).items() if name.endswith(file)]
    assert kept == mine
    assert any("a copy of these cases is in" in note for note in report.notes)
    assert not check(tmp_path / FOLDER).errors


def test_each_correction_has_its_own_copy(tmp_path):
    path = tmp_path / FOLDER / "labelsTr" / "a.nii.gz"
    kept = []
    for number in range(2):
        dataset(*abc()).write(tmp_path, run=OVERWRITE)
        mask = sitk.ReadImage(str(path))
        mask[number, 0, 0] = 1
        sitk.WriteImage(mask, str(path))
        kept.append(path.read_bytes())
    dataset(*abc()).write(tmp_path, run=OVERWRITE)
    found = [c for name, c in copies(tmp_path).items() if name.endswith("labelsTr/a.nii.gz")]
    assert sorted(found) == sorted(kept)


def test_a_correction_stops_a_conversion_with_other_settings_too(tmp_path):
    dataset(*abc()).write(tmp_path)
    correct(tmp_path / FOLDER / "labelsTr" / "b.nii.gz")
    window = {"output": Output(window=(-200, 600)), "channel_names": ("noNorm",)}
    with pytest.raises(DatasetError, match=r"labelsTr/b\.nii\.gz"):
        dataset(*abc(), **window).write(tmp_path)
    with pytest.raises(DatasetError, match=r"labelsTr/b\.nii\.gz"):
        dataset(case("a", 1), case("b", 2, load=broken), case("c", 3)).write(tmp_path, run=GOING)


@pytest.mark.parametrize(
    ("cases", "what"),
    [
        ([case("x", 8), case("y", 9)], "no longer in the source: a, b, c"),
        ([case("a", 1), case("b", 2)], "no longer in the source: c"),
        ([case("a", 8), case("b", 9), case("c", 3)], "of another image now: a, b"),
    ],
)
def test_another_source_under_the_same_id_stops(tmp_path, cases, what):
    dataset(*abc()).write(tmp_path)
    before = tree(tmp_path)
    with pytest.raises(DatasetError, match=what):
        dataset(*cases).write(tmp_path)
    report = dataset(*cases).write(tmp_path, run=Run(dry_run=True))
    assert what in report.problems[0]
    assert tree(tmp_path) == before
    dataset(*cases).write(tmp_path, run=OVERWRITE)
    dataset(*cases).write(tmp_path / "fresh")
    assert tree(tmp_path / FOLDER) == tree(tmp_path / "fresh" / FOLDER)
    old = {name: content for name, content in before.items() if "Tr/" in name}
    kept = {name.split("/", 1)[1]: content for name, content in copies(tmp_path).items()}
    assert kept.items() <= {name.split("/", 1)[1]: c for name, c in old.items()}.items()
    assert len(kept) >= 2


def test_copies_do_not_look_like_a_dataset(tmp_path):
    dataset(*abc()).write(tmp_path)
    dataset(case("a", 1)).write(tmp_path, run=OVERWRITE)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("Dataset")] == [FOLDER]


def test_a_mask_that_is_corrected_in_the_source_is_converted_again(tmp_path):
    dataset(*abc()).write(tmp_path)
    new = Case("a", "a", "/src/a", {"image": "digest1", "mask": "new"}, True, 1008,
               lambda: Sample((image(ct(1)),), image(labels(values=(2, 1)))))  # fmt: skip
    assert dataset(new, case("b", 2), case("c", 3)).write(tmp_path).written == 1
    assert not (tmp_path / f"replaced_{FOLDER}").exists()


def test_keep_going_keeps_a_case_whose_source_was_damaged_later(tmp_path):
    dataset(*abc()).write(tmp_path)
    before = tree(tmp_path / FOLDER)
    changed = Case("b", "b", "/src/b", {"image": "digest2", "mask": "other"}, True, 1008, broken)
    report = dataset(case("a", 1), changed, case("c", 3)).write(tmp_path, run=GOING)
    assert report.cases == {"a", "b", "c"}
    assert (report.written, report.skipped) == (0, 3)
    assert "kept as converted earlier, as their sources have problems now: b" in report.notes
    assert report.problems == ("/src/b: is truncated",)
    after = tree(tmp_path / FOLDER)
    assert {n: c for n, c in after.items() if "Tr/" in n} == {
        n: c for n, c in before.items() if "Tr/" in n}  # fmt: skip
    assert not check(tmp_path / FOLDER).errors


@pytest.mark.parametrize("split", ["2-fold", "own"])
def test_keep_going_keeps_a_case_whose_source_cannot_be_scanned(tmp_path, split):
    cases = [case("a", 1, subset="train"), case("b", 2, group="p", subset="val"),
             case("c", 3, group="p", subset="val"), case("d", 4, mask=False)]  # fmt: skip
    how = {"splits": Splits(split)}
    dataset(*cases, **how).write(tmp_path)
    before = (tmp_path / FOLDER / "splits_final.json").read_bytes()
    left = dataset(cases[0], cases[1], problems=["/src/c: is truncated", "/src/d: no"], **how)
    report = left.write(tmp_path, run=GOING)
    assert report.cases == {"a", "b", "c", "d"}
    assert "kept as converted earlier, as their sources have problems now: c, d" in report.notes
    assert (tmp_path / FOLDER / "splits_final.json").read_bytes() == before
    manifest = json.loads((tmp_path / FOLDER / "conversion.json").read_text())
    assert manifest["patients"]["b"] == manifest["patients"]["c"]
    assert left.write(tmp_path, run=GOING).cases == report.cases  # again
    assert dataset(*cases, **how).write(tmp_path).skipped == 4  # repaired


def test_more_cases_are_missing_than_sources_have_problems(tmp_path):
    dataset(*abc()).write(tmp_path)
    left = dataset(case("a", 1), problems=["/src/b: is truncated"])
    with pytest.raises(DatasetError, match="no longer in the source: b, c"):
        left.write(tmp_path, run=GOING)
    report = left.write(tmp_path, run=Run(keep_going=True, overwrite=True))
    assert report.cases == {"a"}
    assert len(copies(tmp_path)) == 4


def test_a_case_of_other_settings_is_not_mixed_in(tmp_path):
    dataset(*abc()).write(tmp_path)
    window = {"output": Output(window=(-200, 600)), "channel_names": ("noNorm",)}
    left = dataset(case("a", 1), case("b", 2), problems=["/src/c: is truncated"], **window)
    with pytest.raises(DatasetError, match="no longer in the source: c"):
        left.write(tmp_path, run=GOING)
    report = left.write(tmp_path, run=Run(keep_going=True, overwrite=True))
    assert report.cases == {"a", "b"}
    for path in (tmp_path / FOLDER / "imagesTr").iterdir():
        assert sitk.GetArrayFromImage(sitk.ReadImage(str(path))).dtype == np.float32
