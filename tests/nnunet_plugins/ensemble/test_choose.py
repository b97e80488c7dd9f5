"""The choice by cross-validation on model folders with known predictions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_plugins.cli import main
from nnunet_plugins.ensemble.choose import choose
from nnunet_plugins.ensemble.members import check_same_dataset, read_members
from nnunet_plugins.ensemble.postprocessing import determine
from nnunet_plugins.errors import UserError
from tests.contract import making

CASES = ("a", "b")


def write(path: Path, labels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(labels.astype(np.uint8)), str(path))


def truth(case: str) -> np.ndarray:
    labels = np.zeros((4, 8, 16), np.uint8)
    labels[1:3, 2:6, 2:6] = 1
    labels[1:3, 2:6, 9:12] = 2 if case == "a" else 0
    return labels


def model(
    root: Path, name: str, wrong: slice, sure: float, *, npz: bool = True, stray: bool = False
) -> Path:
    """A model that calls label 1 in some columns background, with a given probability."""
    folder = root / f"{name}__Plans__3d_fullres"
    folder.mkdir()
    (folder / "plans.json").write_text(json.dumps(making.plans()))
    (folder / "dataset.json").write_text(json.dumps(making.DATASET))
    for fold, case in enumerate(CASES):
        labels = truth(case)
        probabilities = np.stack([(labels == k) * 1.0 for k in range(3)]) * 0.8 + 0.1
        at = (labels == 1) & np.isin(np.arange(16), np.arange(16)[wrong])
        probabilities[:2, at] = np.array([[sure], [1 - sure]])
        if stray:
            probabilities[:, 0, 0, 15] = (0.1, 0.8, 0.1)
        place = folder / f"fold_{fold}" / "validation"
        write(place / f"{case}.nii.gz", probabilities.argmax(0))
        (place.parent / "checkpoint_final.pth").write_bytes(b"weights")
        if npz:
            np.savez_compressed(
                place / f"{case}.npz", probabilities=probabilities.astype(np.float32)
            )
    return folder


@pytest.fixture
def references(tmp_path: Path) -> Path:
    for case in CASES:
        write(tmp_path / "labelsTr" / f"{case}.nii.gz", truth(case))
    return tmp_path / "labelsTr"


def test_an_average_that_corrects_both_models_is_chosen(tmp_path, references, capsys):
    # Each is unsure where it is wrong, and the other is sure of the true label there.
    models = [model(tmp_path, "A", slice(2, 3), 0.6), model(tmp_path, "B", slice(4, 6), 0.6),
              model(tmp_path, "C", slice(2, 5), 0.95)]  # fmt: skip
    out = tmp_path / "out"
    command = ["ensemble", *map(str, models), "-o", str(out), "--reference", str(references)]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert f"--choice {out / 'ensemble.json'} -i IMAGES" in said
    found = json.loads((out / "ensemble.json").read_text())
    assert [Path(m["model"]).name for m in found["members"]] == [models[0].name, models[1].name]
    assert (out / found["members"][0]["model"]).resolve() == models[0].resolve()
    assert found["members"][0]["folds"] == ["0", "1"]
    assert found["dice"] == 1
    scores = {tuple(c["models"]): c["dice_by_label"] for c in found["candidates"]}
    assert len(scores) == 6
    # 3 of 4 columns in both cases: 2 * 24 / (24 + 32); the label that is in neither mask of b does not count.
    assert scores[(models[0].name,)] == {"sacrum": pytest.approx(6 / 7), "ilium": 1}
    assert found["keep_largest_component_of"] == []
    assert f"* {models[0].name} + {models[1].name}" in (out / "ensemble.txt").read_text()
    assert "/" not in json.dumps([c["models"] for c in found["candidates"]])


def test_single_models_are_chosen_among_without_probabilities(tmp_path, references):
    models = [
        model(tmp_path, "A", slice(2, 4), 0.6, npz=False),
        model(tmp_path, "B", slice(4, 5), 0.6, npz=False),
    ]
    found = choose(read_members(models), references, most=1)
    assert [m.path.name for m in found.best.members] == [models[1].name]
    assert len(found.candidates) == 2


def test_postprocessing_is_applied_where_it_helps_only(tmp_path, references):
    one = model(tmp_path, "A", slice(0, 0), 0.6, stray=True, npz=False)
    found = choose(read_members([one]), references)
    tries = {step.name: step.kept for step in found.steps}
    # Of the foreground, only one of the two structures would remain.
    assert tries == {"all foreground": False, "sacrum": True, "ilium": False}
    assert found.after == {"sacrum": 1, "ilium": 1}
    assert found.to_dict(tmp_path)["keep_largest_component_of"] == [[1]]


def test_the_foreground_is_kept_whole_if_a_label_would_fall():
    table = {
        (): {"a": 0.5, "b": 0.9},
        ((1, 2),): {"a": 0.9, "b": 0.8},
        ((1,),): {"a": 0.7, "b": 0.9},
        ((1,), (2,)): {"a": 0.7, "b": 0.9},
    }
    steps = determine({"a": (1,), "b": (2,)}, lambda steps: table[tuple(steps)])
    assert [step.kept for step in steps] == [False, True, False]


def test_mistakes(tmp_path, references, said):
    good, bare = (
        model(tmp_path, "A", slice(2, 3), 0.6),
        model(tmp_path, "B", slice(2, 4), 0.6, npz=False),
    )
    use = ["ensemble", "-o", str(tmp_path / "out"), "--reference", str(references)]
    assert "fold_0 has no probabilities of its validation cases" in said(*use, str(good), str(bare))
    assert "given twice" in said(*use, str(good), f"{good.parent}/./{good.name}")
    other = model(tmp_path, "C", slice(2, 4), 0.6)
    (other / "dataset.json").write_text(json.dumps(making.REGIONS))
    assert "an ensemble needs models of the same dataset" in said(*use, str(good), str(other))
    regions = {path: dict(making.REGIONS) for path in (good, other)}
    check_same_dataset(regions)
    regions[other]["labels"] = dict(reversed(making.REGIONS["labels"].items()))
    with pytest.raises(UserError, match="order of regions is"):
        check_same_dataset(regions)
    write(tmp_path / "odd" / "b.nii.gz", truth("b"))
    write(tmp_path / "odd" / "a.nii.gz", np.where(truth("a") == 2, 9, truth("a")))
    odd = ["--reference", str(tmp_path / "odd"), str(good), "--members", "1"]
    assert "a.nii.gz: holds values 9, which dataset.json of the models does not" in said(*use, *odd)
    fewer = model(tmp_path, "D", slice(2, 4), 0.6)
    for path in (fewer / "fold_1" / "validation").iterdir():
        path.unlink()
    assert "validated on other cases" in said(*use, str(good), str(fewer))
    stale = model(tmp_path, "E", slice(2, 4), 0.6)
    write(stale / "fold_0" / "validation" / "a.nii.gz", truth("a"))
    assert "give other labels than the label map of the case" in said(*use, str(good), str(stale))
    whole = model(tmp_path, "F", slice(2, 4), 0.6)
    (whole / "fold_0").rename(whole / "fold_all")
    assert "a choice needs cases that were not trained on" in said(*use, str(whole), "-f", "all")
    assert "expected MODEL folders, or --choice" in said(*use)
    assert "--members 0: expected 1 or more" in said(*use, str(good), "--members", "0")
    (tmp_path / "other.json").write_text("{}")
    choice = ["--choice", str(tmp_path / "other.json"), "-i", str(tmp_path)]
    assert "format None, version None" in said(*use, *choice)
    assert not (tmp_path / "out").exists()
