"""`compare` on files: scores files, predictions, model folders, and the command."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_plugins.cli import main
from nnunet_plugins.comparison.runs import Options, load
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation import evaluate
from nnunet_plugins.model_facts import facts_of_model
from nnunet_plugins.model_folder import read_model

from .compared import SPACING, row_of


def save(path: Path, voxels: np.ndarray) -> None:
    image = sitk.GetImageFromArray(voxels.astype(np.uint8))
    image.SetSpacing(SPACING[::-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Two prediction folders and their references, two cases of one label."""
    for number in (0, 1):
        save(tmp_path / "ref" / f"case{number}.nii.gz", row_of(10))
        save(tmp_path / "a" / f"case{number}.nii.gz", row_of(6 + number))
        save(tmp_path / "b" / f"case{number}.nii.gz", row_of(8 + number))
    for name in ("a", "b"):
        (tmp_path / name / "dataset.json").write_text('{"labels": {"background": 0, "sacrum": 1}}')
    return tmp_path


def test_scores_are_read_as_they_were_written(files: Path) -> None:
    evaluate(files / "a", files / "ref", output=files / "a.json", pixels=True)
    evaluate(files / "b", files / "ref", output=files / "b.json", pixels=True)
    loaded = load([str(files / "a.json"), f"other={files / 'b.json'}"], Options())
    assert [one.name for one in loaded] == ["a", "other"]
    assert loaded[0].scores.to_json() == (files / "a.json").read_text()


def test_a_prediction_folder_needs_scores_or_a_reference(files: Path) -> None:
    with pytest.raises(UserError, match="holds no scores file and no trained model; pass --refer"):
        load([str(files / "a")], Options())
    scored = load([str(files / "a")], Options(reference=files / "ref"))[0].scores
    evaluate(files / "a", files / "ref", output=files / "a" / "scores.json")
    assert load([str(files / "a")], Options())[0].scores == scored
    later = time.time() + 100
    os.utime(files / "a" / "case1.nii.gz", (later, later))
    with pytest.raises(UserError, match="is older than the predictions in its folder"):
        load([str(files / "a")], Options())
    (files / "a" / "case1.nii.gz").unlink()
    with pytest.raises(UserError, match="has other cases than its folder"):
        load([str(files / "a")], Options())


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            lambda c: c.update(format_version=1),
            r"format_version is 1, supported is 2; evaluate again",
        ),
        (lambda c: c.update(format="x"), "is not a scores file of nnunet-plugins evaluate"),
        (lambda c: c.pop("cases"), "is incomplete"),
        (
            lambda c: c["cases"]["case0"]["reference"].update(spacing=""),
            "spacing of a reference is ''",
        ),
        (
            lambda c: c["cases"]["case0"]["reference"].update(origin=["x", 0, 0]),
            "origin of a reference is ",
        ),
        (lambda c: c["cases"]["case0"]["reference"].update(direction=[1.0]), "do not fit together"),
        (lambda c: c["cases"]["case0"]["labels"]["sacrum"].update(dice=math.nan), "holds NaN"),
    ],
)
def test_damaged_scores_files_are_rejected(files: Path, change: Any, match: str) -> None:
    out = files / "a.json"
    evaluate(files / "a", files / "ref", output=out)
    content = json.loads(out.read_text())
    change(content)
    out.write_text(json.dumps(content))
    with pytest.raises(UserError, match=match):
        load([str(out)], Options())


def test_two_runs_of_the_same_name_are_rejected(files: Path) -> None:
    evaluate(files / "a", files / "ref", output=files / "a.json")
    with pytest.raises(UserError, match="would both be called 'a'; pass NAME=RUN"):
        load([str(files / "a.json")] * 2, Options())
    with pytest.raises(UserError, match="does not exist; pass a scores"):
        load([str(files / "none")], Options())


LOG = """
2026-01-01 00:00:00: Epoch 0
2026-01-01 00:00:10: Epoch time: 10.0 s
2026-01-01 00:00:10: Epoch 1
2026-01-01 00:00:22: Epoch time: 12.0 s
"""


@pytest.fixture
def model(files: Path) -> Path:
    """A model folder of nnU-Net with two folds of one case each."""
    folder = files / "nnUNetTrainer__P__2d_da"
    arch = {"network_class_name": "x.y.Net", "arch_kwargs": {}, "_kw_requires_import": []}
    base = {"batch_size": 2, "patch_size": [4, 24], "spacing": [0.5, 0.8], "architecture": arch}
    configurations = {"2d": base, "2d_da": {"inherits_from": "2d"}}
    plans = {"dataset_name": "Dataset001_X", "plans_name": "P", "configurations": configurations}
    for number in (0, 1):
        fold = folder / f"fold_{number}"
        save(fold / "validation" / f"case{number}.nii.gz", row_of(6 + number))
        (fold / "training_log_2026_1_1_00_00_00.txt").write_text(
            LOG + "2026-01-01 00:00:23: Training done.\n"
        )
        debug = {"num_epochs": "2", "num_iterations_per_epoch": "9", "device": "cuda:0"}
        (fold / "debug.json").write_text(json.dumps(debug | {"num_val_iterations_per_epoch": "2"}))
    (folder / "plans.json").write_text(json.dumps(plans))
    labels = {"labels": {"background": 0, "sacrum": 1}, "channel_names": {"0": "CT"}}
    (folder / "dataset.json").write_text(json.dumps(labels | {"file_ending": ".nii.gz"}))
    return folder


def test_a_model_is_scored_on_its_folds_validation(
    files: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = files / "nnUNet_raw"
    (raw / "Dataset001_X").mkdir(parents=True)
    (files / "ref").rename(raw / "Dataset001_X" / "labelsTr")
    monkeypatch.setenv("nnUNet_raw", str(raw))
    monkeypatch.delenv("nnUNet_preprocessed", raising=False)
    (one,) = load([str(model)], Options())
    dice = [case.labels["sacrum"].dice for case in one.scores.cases]
    assert dice == pytest.approx([12 / 16, 14 / 17])
    assert one.configuration == "2d_da"
    facts = one.facts
    assert (facts["epochs"], facts["iterations_per_epoch"], facts["batch_size"]) == (2, 9, 2)
    assert facts["seconds_a_step"] == pytest.approx(11 / 11)
    assert facts["training_hours"] == pytest.approx(44 / 3600)
    assert facts["splits"] == {"fold_0": ["case0"], "fold_1": ["case1"]}
    assert facts["finished"] is True
    (half,) = load([str(model)], Options(folds=["1"]))
    assert [case.name for case in half.scores.cases] == ["case1"]
    with pytest.raises(UserError, match=r"no fold_7; available: 0, 1"):
        read_model(model, ["7"])


@pytest.mark.parametrize("within", ["", "summary.json"])
def test_nnunets_folder_of_a_cross_validation_is_that_of_the_models_folds(
    files: Path, model: Path, within: str
) -> None:
    merged = model / "crossval_results_folds_0_1"  # nnUNetv2_find_best_configuration
    for number in (0, 1):
        save(merged / f"case{number}.nii.gz", row_of(6 + number))
    for name in ("plans.json", "dataset.json"):
        shutil.copy(model / name, merged)
    (merged / "summary.json").write_text('{"metric_per_case": []}')
    options = Options(reference=files / "ref")
    (fold, both) = load([str(model / "fold_1"), str(merged / within)], options)
    (whole,) = load([str(model)], options)
    assert (fold.name, both.name) == ("fold_1", "folds_0_1")
    assert both.scores.to_dict() == whole.scores.to_dict()
    assert both.facts == whole.facts
    assert both.facts["splits"] == {"fold_0": ["case0"], "fold_1": ["case1"]}


def test_without_references_nnunets_summary_gives_the_overlaps(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("nnUNet_raw", "nnUNet_preprocessed"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UserError, match=r"fold_0 has no validation/summary\.json; .*--reference"):
        load([str(model)], Options())
    for number in (0, 1):
        counts = {"TP": 6 + number, "FP": 0, "FN": 4 - number, "TN": 278}
        entry = {"prediction_file": f"/x/case{number}.nii.gz", "metrics": {"1": counts}}
        target = model / f"fold_{number}" / "validation" / "summary.json"
        target.write_text(json.dumps({"metric_per_case": [entry]}))
    (one,) = load([str(model)], Options())
    assert [c.labels["sacrum"].dice for c in one.scores.cases] == pytest.approx([12 / 16, 14 / 17])
    assert "hd95_mm" not in one.scores.metrics
    assert any("overlaps only" in note for note in one.notes)


def test_a_case_in_two_folds_is_rejected(files: Path, model: Path) -> None:
    save(model / "fold_1" / "validation" / "case0.nii.gz", row_of(6))
    with pytest.raises(
        UserError, match="case case0 is in two folds; select one of them with --fold"
    ):
        load([str(model)], Options(reference=files / "ref"))


def test_peak_memory_is_that_of_the_largest_fold(model: Path) -> None:
    for fold, peak in (("fold_0", "7.42"), ("fold_1", "7.98")):
        (model / fold / "training_log_2026_1_1_00_00_00.txt").write_text(
            LOG + f"2026-01-01 00:00:00.0: peak memory allocated: {peak} GiB\n"
        )
    assert facts_of_model(read_model(model))["peak_memory_gib"] == 7.98


def test_an_unfinished_training_is_recorded(model: Path) -> None:
    (model / "fold_1" / "training_log_2026_1_1_00_00_00.txt").write_text(LOG)
    assert facts_of_model(read_model(model))["finished"] is False


def test_the_command_writes_every_format(files: Path, capsys: pytest.CaptureFixture) -> None:
    names = [str(files / "a"), str(files / "b")]
    given = ["compare", *names, "--reference", str(files / "ref"), "-j", "1"]
    for ending, first in (
        (".md", "## Dice"), (".tex", "% "), (".csv", "metric,label"), (".json", '{\n "format": "nnunet-plugins comp'),
    ):  # fmt: skip
        out = files / f"out{ending}"
        assert main([*given, "-o", str(out)]) == 0
        assert out.read_text().startswith(first)
        shown = capsys.readouterr().out
        assert re.search(r"sacrum +a +2", shown)
        assert max(map(len, shown.splitlines()[:-1])) <= 100
    assert main([*given, "-o", str(files / "out.txt")]) == 2
    assert "allowed endings are .md, .tex, .csv, .json" in capsys.readouterr().err


def test_the_command_arranges_a_papers_table_and_can_be_strict(
    files: Path, model: Path, capsys: pytest.CaptureFixture
) -> None:
    reference = ["--reference", str(files / "ref"), "-j", "1"]
    assert (
        main(["compare", f"unet={files / 'a'}", "--table", "yan2025-mag-unet.4", *reference]) == 0
    )
    assert "yan2025-mag-unet, Table 4: modules of MAG-UNet" in capsys.readouterr().out
    assert main(["compare", str(files / "a"), *reference]) == 2
    assert "at least two runs are needed" in capsys.readouterr().err
    other = model.with_name("nnUNetTrainer__P__2d")
    model.rename(other)
    copy = model.with_name("nnUNetTrainer__P__2d_da")
    shutil.copytree(other, copy)
    plans = json.loads((copy / "plans.json").read_text())
    plans["configurations"]["2d_da"]["patch_size"] = [4, 12]
    (copy / "plans.json").write_text(json.dumps(plans))
    assert main(["compare", str(other), str(copy), *reference]) == 0
    assert "NOT A FAIR COMPARISON: 2d_da against 2d: patch size 4 x 12" in capsys.readouterr().out
    assert main(["compare", str(other), str(copy), *reference, "--strict"]) == 2
    assert "NOT A FAIR COMPARISON" in capsys.readouterr().err


def test_real_label_maps_against_each_other(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """TotalSegmentator's map of a pelvis CT against a copy with its left hip one voxel off."""
    source = shared_data / "ct_pelvis" / "example_seg_fast_force_split.nii.gz"
    if not source.exists():
        pytest.skip("the real CT is not available")
    image = sitk.ReadImage(str(source))
    voxels = sitk.GetArrayFromImage(image)
    for name, moved in (("same", voxels), ("moved", np.roll(voxels, 1, axis=2))):
        (tmp_path / name).mkdir()
        copy = sitk.GetImageFromArray(np.where(moved == 77, 77, np.where(voxels == 77, 0, voxels)))
        copy.CopyInformation(image)
        sitk.WriteImage(copy, str(tmp_path / name / source.name))
    reference = tmp_path / "ref"
    reference.mkdir()
    (reference / source.name).write_bytes(source.read_bytes())
    labels = {f"label {value}": int(value) for value in np.unique(voxels) if value}
    for folder in ("same", "moved"):
        content = {"labels": {"background": 0, **labels}}
        (tmp_path / folder / "dataset.json").write_text(json.dumps(content))
    command = ["compare", str(tmp_path / "same"), str(tmp_path / "moved"), "--reference"]
    assert main([*command, str(reference), "--metrics", "hd_mm", "dice", "-j", "1"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"label 77 +same +1 +0\.00 ", shown)
    assert re.search(r"moved +1 +3\.00 ", shown)  # a voxel is 3 mm
