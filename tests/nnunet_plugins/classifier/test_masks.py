"""Masks of cases that the segmenter was trained on are refused, whatever their folder."""

import json
import shutil

import pytest
import SimpleITK as sitk

from nnunet_plugins.classifier.masks import REFERENCES, predicted_masks, reference_masks
from nnunet_plugins.classifier.train import Sources, lesion_values
from nnunet_plugins.errors import UserError
from tests.nnunet_plugins.classifier.cohort import NAME, predictions, segmenter, write_cohort

CASES = [f"c{n}" for n in range(6)]


@pytest.fixture
def world(tmp_path, monkeypatch):
    raw = write_cohort(tmp_path, dict.fromkeys(CASES, 0), test=2)
    monkeypatch.setenv("nnUNet_preprocessed", str(tmp_path / "nnUNet_preprocessed"))
    return tmp_path, raw


def test_each_case_has_the_mask_of_the_fold_that_did_not_see_it(world):
    root, raw = world
    model = segmenter(root, raw, [["c0", "c1"], ["c2", "c3"]])
    found = predicted_masks(CASES, model, [predictions(raw)], raw=raw)
    assert {case: file.parts[-3:-1] for case, file in found.files.items()} == {
        **dict.fromkeys(("c0", "c1"), ("fold_0", "validation")),
        **dict.fromkeys(("c2", "c3"), ("fold_1", "validation")),
        **dict.fromkeys(("c4", "c5"), (root.name, f"predictions_{NAME}_Ts")),
    }
    assert not found.references


def test_masks_in_fold_are_refused(world):
    root, raw = world
    model = segmenter(root, raw, [["c0", "c1"], ["c2", "c3"]], done=1)
    with pytest.raises(UserError, match="masks in fold: c2, c3: the segmenter was trained on them"):
        predicted_masks(CASES, model, [raw / "labelsTr", raw / "labelsTs"], raw=raw)


def test_fold_all_has_seen_every_case(world):
    root, raw = world
    model = segmenter(root, raw, [["c0", "c1"], ["c2", "c3"]])
    (model / "fold_0").rename(model / "fold_all")
    shutil.rmtree(model / "fold_1")
    with pytest.raises(UserError, match="masks in fold: c0"):
        predicted_masks(["c0"], model, [raw / "labelsTr"], raw=raw)


def test_a_segmenter_whose_training_is_not_known_is_refused(world):
    root, raw = world
    model = segmenter(root, raw, [["c0", "c1"], ["c2", "c3"]])
    splits = root / "nnUNet_preprocessed" / NAME / "splits_final.json"
    splits.write_text(json.dumps([{"train": ["c0"], "val": ["c3"]}] * 2))  # made again since
    with pytest.raises(UserError, match="not known which cases it was trained on"):
        predicted_masks(CASES, model, [raw / "labelsTs"], raw=raw)
    with pytest.raises(UserError, match=r"not a trained model \(plans.json missing\)"):
        predicted_masks(CASES, root, [], raw=raw)


def test_other_datasets_are_noted_and_missing_masks_named(world):
    root, raw = world
    model = segmenter(root, raw, [["c0", "c1"], ["c2", "c3"]])
    found = predicted_masks(["c4"], model, [raw / "labelsTs"], raw=root / "Dataset702_Other")
    assert "whether they share patients is not known" in found.notes[0]
    with pytest.raises(UserError, match=r"1 of 2 cases have no mask in .*labelsTs.*: zz"):
        reference_masks(["c4", "zz"], [raw / "labelsTs"])
    assert reference_masks(["c4"], [raw / "labelsTs"]).notes == (REFERENCES,)


@pytest.mark.parametrize("name", [NAME, "Dataset702_Other"])
def test_copies_of_the_references_are_not_predictions(world, name):
    root, raw = world
    model = segmenter(root, raw, [["c0", "c1"], ["c2", "c3"]])
    raw = raw.rename(raw.with_name(name))
    folder = predictions(raw)
    predicted_masks(["c4", "c5"], model, [folder], raw=raw)
    shutil.copy(raw / "labelsTs" / "c4.nii.gz", folder)
    predicted_masks(["c4", "c5"], model, [folder], raw=raw)  # one of two may be equal
    image = sitk.ReadImage(str(raw / "labelsTs" / "c5.nii.gz"), sitk.sitkInt16)
    sitk.WriteImage(sitk.DICOMOrient(image, "RAS"), str(folder / "c5.nii.gz"))
    for masks in (folder, raw / "labelsTs"):
        with pytest.raises(
            UserError, match="2 of 2 masks that are not empty are the references of"
        ):
            predicted_masks(["c4", "c5"], model, [masks], raw=raw)


def test_voxels_of_the_ignore_label_do_not_count_as_lesions(world):
    _, raw = world
    sources = Sources(raw, None, references=True)
    assert lesion_values((), sources) == ()  # all but 0
    assert lesion_values(["fat_metaplasia"], sources) == (1,)
    content = json.loads((raw / "dataset.json").read_text())
    content["labels"] = {"background": 0, "fat_metaplasia": 1, "erosion": 2, "ignore": 3}
    (raw / "dataset.json").write_text(json.dumps(content))
    assert lesion_values((), sources) == (1, 2)
    with pytest.raises(
        UserError, match="--lesions oedema: unknown label; allowed: fat_metaplasia, erosion"
    ):
        lesion_values(["oedema"], sources)
