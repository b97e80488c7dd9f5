"""Model folders of nnU-Net with small validation predictions, and their references."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from nnunet_plugins.evaluation.overlap import Counts
from tests.nnunet_plugins.training_logs import DONE, LOG

from .compared import SPACING, row_of

LOG_FILE = "training_log_2026_1_1_00_00_00.txt"
DEBUG = {
    "num_epochs": "2",
    "num_iterations_per_epoch": "9",
    "num_val_iterations_per_epoch": "2",
    "device": "cuda:0",
}


def save(path: Path, voxels: np.ndarray) -> None:
    image = sitk.GetImageFromArray(voxels.astype(np.uint8))
    image.SetSpacing(SPACING[::-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))


def references(folder: Path, *cases: str) -> Path:
    """Ten voxels of the sacrum in each case."""
    for case in cases:
        save(folder / f"{case}.nii.gz", row_of(10))
    return folder


def write_model(
    folder: Path,
    folds: Mapping[str, Mapping[str, int]],
    *,
    cases: int = 20,
    labels: Mapping[str, Any] | None = None,
) -> Path:
    """A model folder.

    Args:
        folder: TRAINER__PLANS__CONFIGURATION.
        folds: name without 'fold_' -> case -> number of the ten voxels that were found.
        cases: of the whole dataset.
        labels: of dataset.json; one label without any.
    """
    network = {"network_class_name": "x.y.Net", "arch_kwargs": {}, "_kw_requires_import": []}
    configuration = {
        "batch_size": 2,
        "patch_size": [4, 24],
        "spacing": [0.5, 0.8],
        "architecture": network,
    }
    plans = {
        "dataset_name": "Dataset001_X",
        "plans_name": "P",
        "configurations": {"2d": configuration},
    }
    dataset = {
        "labels": labels or {"background": 0, "sacrum": 1},
        "channel_names": {"0": "CT"},
        "file_ending": ".nii.gz",
        "numTraining": cases,
    }
    for name, found in folds.items():
        fold = folder / f"fold_{name}"
        fold.mkdir(parents=True)
        for case, voxels in found.items():
            save(fold / "validation" / f"{case}.nii.gz", row_of(voxels))
        (fold / LOG_FILE).write_text(LOG + DONE)
        change_debug(fold, **DEBUG, fold=name)
        (fold / "checkpoint_final.pth").touch()
    (folder / "plans.json").write_text(json.dumps(plans))
    (folder / "dataset.json").write_text(json.dumps(dataset))
    return folder


def change_debug(folder: Path, **values: str) -> None:
    file = folder / "debug.json"
    before = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(before | values))


def write_summary(fold: Path, keys: Mapping[str, Mapping[str, Counts]]) -> None:
    """nnU-Net's summary.json: case -> its key of a label -> counts."""
    entries = [
        {
            "prediction_file": f"/data/validation/{case}.nii.gz",
            "metrics": {
                key: {"TP": one.tp, "FP": one.fp, "FN": one.fn, "TN": one.tn}
                for key, one in of_case.items()
            },
        }
        for case, of_case in keys.items()
    ]
    (fold / "validation").mkdir(exist_ok=True)
    (fold / "validation" / "summary.json").write_text(json.dumps({"metric_per_case": entries}))


def zipped(model: Path) -> Path:
    """What nnU-Net's zip of a model keeps: no logs, and of the validation only the summary."""
    for path in [*model.glob("fold_*/training_log*"), *model.glob("fold_*/validation/*.nii.gz")]:
        path.unlink()
    return model
