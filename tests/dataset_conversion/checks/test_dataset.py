"""`check` on converted datasets, on others, and with each fault that nnU-Net accepts or crashes on."""

import gzip
import json
import re
import shutil

import numpy as np
import pytest
import SimpleITK as sitk

from dataset_conversion.checks.dataset import check
from dataset_conversion.errors import DatasetError
from nnunet_plugins.cli import main
from tests.dataset_conversion.making import AFFINE, ct, image, labels, nifti, tree, write_json

MANIFEST = "conversion.json"


def shifted(by):
    matrix = AFFINE.copy()
    matrix[:3, 3] += by
    return matrix


def edit(path, **changes):
    entry = json.loads(path.read_text())
    entry.update(changes)
    write_json(path, entry)


def errors(folder, **how):
    return [str(finding) for finding in check(folder, **how).findings if finding.error]


def warnings(folder):
    return [str(finding) for finding in check(folder).findings if not finding.error]


def test_good_datasets_pass_unchanged(theirs, ours):
    for folder in (theirs, ours):
        before = tree(folder)
        report = check(folder, jobs=2)
        assert not report.findings, report
        assert tree(folder) == before
        assert report.training == 5
    assert (check(theirs).test, check(ours).test) == (1, 0)
    assert "sacrum (5)" in str(check(ours))


IMAGE, MASK = "imagesTr/c1_0000.nii.gz", "labelsTr/c1.nii.gz"


def masked(*array, matrix=AFFINE):
    """A mask that replaces the one of c1."""
    return lambda folder: nifti(folder / MASK, *array, matrix)


def copied(one, other):
    return lambda folder: shutil.copy(folder / one, folder / other)


def written(path):
    return lambda folder: (folder / path).write_bytes(b"?")


def stated(**changes):
    return lambda folder: edit(folder / "dataset.json", **changes)


def truncated(folder):
    (folder / IMAGE).write_bytes((folder / IMAGE).read_bytes()[:-200])


def not_a_number(folder):
    array = ct().astype(np.float32)
    array[0, 0, 0] = np.nan
    nifti(folder / IMAGE, array)


def scaled(folder):
    content = bytearray(gzip.decompress((folder / MASK).read_bytes()))
    content[112:120] = np.array([2, 0], "<f4").tobytes()
    (folder / MASK).write_bytes(gzip.compress(bytes(content)))


def flipped(folder):
    sitk.WriteImage(sitk.DICOMOrient(image(labels()), "RPS"), str(folder / MASK))


def four_dimensional(folder):
    sitk.WriteImage(sitk.JoinSeries([image(ct())] * 2), str(folder / IMAGE))


def sheared(folder):
    matrix = AFFINE.copy()
    matrix[0, 1] = 0.05
    for path in (IMAGE, MASK):
        nifti(folder / path, ct(), matrix)


def letters(folder):
    for path in (IMAGE, MASK):
        shutil.copy(folder / path, folder / path.replace("c1", "C1"))


def overlapping(folder):
    fold = {"train": ["c0", "c1", "zz"], "val": ["c1", "c2"]}
    write_json(folder / "splits_final.json", [fold])


empty = masked(labels(values=()))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncated, r"c1: .*c1_0000\.nii\.gz: is truncated or damaged"),
        (not_a_number, r"c1: .*1 voxels are NaN or inf"),
        (empty, "c1: the mask is empty"),
        (masked(labels(values=(1, 7))), r"c1: label values \[7\] are not in dataset.json \(known: 0-2\)"),
        (masked(labels() * np.float32(0.9)), "c1: .*fractions such as 0.9"),
        (scaled, "c1: .*scl_slope 2"),
        (masked(labels(), matrix=shifted((0, 3, 4))), r"c1: the label map is up to 5\.00 mm off the image"),
        (flipped, r"c1: the label map is up to \d+\.\d+ mm off the image"),
        (masked(labels(), matrix=AFFINE @ np.diag([1.01, 1, 1, 1])), r"c1: the label map has the spacing 0\.808"),
        (masked(labels((6, 12, 13))), r"c1: the label map has the size \(13, 12, 6\)"),
        (four_dimensional, "c1: .*4D: choose volume k"),
        (sheared, "c1: .*sheared"),
        (copied(MASK, "labelsTr/x.nii.gz"), "labelsTr: x have no image"),
        (lambda folder: (folder / MASK).unlink(), "imagesTr: c1 have no label map"),
        (written("imagesTr/._c1_0000.nii.gz"), r"imagesTr: \._c1_0000\.nii\.gz belong to no case"),
        (written("imagesTr/c1_0000.tmp.nii.gz"), r"imagesTr: c1_0000\.tmp\.nii\.gz belong to no case"),
        (lambda folder: (folder / IMAGE).rename(folder / "imagesTr/c1.nii.gz"),
         r"imagesTr: c1\.nii\.gz belong to no case"),
        (stated(numTraining=4), "numTraining is 4, but there are 5 training cases"),
        (stated(labels={"background": 0, "a": 1, "b": 3}),
         r"label values \[0, 1, 3\] are not 0, 1, 2, \.\.\. without gaps"),
        (stated(labels={"0": "background", "1": "a"}), "label .0. has the value .background..*reversed"),
        (stated(channel_names={"0": "T1", "1": "T2"}), r"c0 has the channels \[0\]; dataset.json lists 2"),
        (lambda folder: (folder.parent / "Dataset012_Other").mkdir(),
         "Dataset012_Other: another folder next to it has the same dataset id"),
        (letters, "C1 and c1 differ only in upper and lower case"),
        (copied(IMAGE, "imagesTs/c1_0000.nii.gz"), "c1 are in imagesTs and in the training set"),
        (overlapping, "fold 0 has c1 on both sides"),
    ],
)  # fmt: skip
def test_each_fault_is_an_error(theirs, damage, message):
    damage(theirs)
    found = errors(theirs)
    assert any(re.search(message, text) for text in found), found
    assert main(["check", str(theirs)]) == 1


def test_what_may_be_intended_is_a_warning(theirs):
    edit(theirs / "dataset.json", labels={"background": 0, "a": 1, "b": 2, "never": 3})
    turned = sitk.DICOMOrient(image(ct(1)), "RAS")
    sitk.WriteImage(turned, str(theirs / "imagesTr" / "c1_0000.nii.gz"))
    mask = sitk.DICOMOrient(image(labels()), "RAS")
    sitk.WriteImage(mask, str(theirs / "labelsTr" / "c1.nii.gz"))
    (theirs / "imagesTr" / "notes.txt").write_text("?")
    found = " ".join(warnings(theirs))
    assert "labels ['never'] occur in no case" in found
    assert "orientations differ: LPS (5), RAS (1)" in found
    assert "notes.txt do not end in .nii.gz" in found
    assert not errors(theirs)
    assert main(["check", str(theirs)]) == 0


def test_empty_masks_may_be_allowed(theirs):
    empty(theirs)
    assert not errors(theirs, allow_empty=True)


def test_a_file_changed_after_the_conversion_is_reported(ours):
    path = ours / "labelsTr" / "p1.nii.gz"
    array = labels()
    array[3, 3, 3] = 1 - array[3, 3, 3]
    nifti(path, array)
    assert any("p1.nii.gz: changed after the conversion" in text for text in errors(ours))
    path.unlink()
    assert any("p1: its files were removed" in text for text in errors(ours))


def test_a_patient_in_both_sides_of_a_fold_is_reported(ours):
    groups = json.loads((ours / MANIFEST).read_text())
    groups["patients"]["p1"] = groups["patients"]["p0"]
    write_json(ours / MANIFEST, groups)
    names = sorted(groups["patients"])
    write_json(ours / "splits_final.json", [{"train": names[1:], "val": names[:1]}])
    assert any("trains on p1; their patients are in its validation" in t for t in errors(ours))


def test_splits_that_stop_planning_are_reported(ours, tmp_path):
    there = tmp_path / "preprocessed" / ours.name
    there.mkdir(parents=True)
    shutil.copy(ours / "splits_final.json", there)
    assert not errors(ours, preprocessed=there.parent)
    write_json(there / "splits_final.json", [])
    assert any(
        "planning stops without a message" in t for t in errors(ours, preprocessed=there.parent)
    )


def test_images_of_other_formats_are_checked(tmp_path):
    folder = tmp_path / "Dataset013_Pictures"
    for sub in ("imagesTr", "labelsTr"):
        (folder / sub).mkdir(parents=True)
    for number in range(2):
        grey = sitk.GetImageFromArray(np.full((8, 9), 50 + number, np.uint8))
        sitk.WriteImage(grey, str(folder / "imagesTr" / f"c{number}_0000.png"))
        mask = sitk.GetImageFromArray(np.eye(8, 9, dtype=np.uint8))
        sitk.WriteImage(mask, str(folder / "labelsTr" / f"c{number}.png"))
    write_json(folder / "dataset.json", {
        "channel_names": {"0": "R", "1": "G", "2": "B"}, "labels": {"background": 0, "a": 1},
        "numTraining": 2, "file_ending": ".png"})  # fmt: skip
    assert not errors(folder)
    sitk.WriteImage(sitk.GetImageFromArray(np.eye(8, 10, dtype=np.uint8)),
                    str(folder / "labelsTr" / "c0.png"))  # fmt: skip
    assert any("c0: the label map has the size" in text for text in errors(folder))


def test_cases_listed_in_dataset_json_are_found(theirs):
    entries = {f"c{i}": {"images": [f"imagesTr/c{i}_0000.nii.gz"], "label": f"labelsTr/c{i}.nii.gz"}
               for i in range(5)}  # fmt: skip
    edit(theirs / "dataset.json", dataset=entries)
    assert not errors(theirs)
    (theirs / "labelsTr" / "c3.nii.gz").unlink()
    assert any("c3: " in text and "is missing" in text for text in errors(theirs))


@pytest.mark.parametrize("text", [None, "{", "[]"])
def test_a_folder_without_a_dataset_gives_one_sentence(tmp_path, text):
    if text is not None:
        (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(DatasetError, match=r"dataset\.json: "):
        check(tmp_path)
    assert main(["check", str(tmp_path)]) == 2


def test_a_dataset_is_found_by_its_id(theirs, monkeypatch, capsys):
    monkeypatch.setenv("nnUNet_raw", str(theirs.parent))
    assert main(["check", "12"]) == 0
    assert "5 training cases, 1 test case\n" in capsys.readouterr().out
    assert main(["check", "13"]) == 2
