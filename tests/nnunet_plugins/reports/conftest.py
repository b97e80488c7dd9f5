"""A model folder of nnU-Net: three anisotropic cases in two folds, one label with an odd name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from tests.nnunet_plugins.training_logs import DONE
from tests.nnunet_plugins.training_logs import LOG as TWO_EPOCHS

ODD = 'L5 </script><script>alert("x")</script> & $a_b'
SPACING = (3.0, 0.5, 0.8)  # mm, z, y, x
SHAPE = (6, 20, 24)
LOG = TWO_EPOCHS + DONE


def save(path: Path, voxels: np.ndarray, direction: str = "LPS") -> None:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(SPACING[::-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.DICOMOrient(image, direction), str(path))


def truth() -> np.ndarray:
    """Sacrum: 40 voxels. The label with the odd name: 20."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:3, 5:9, 4:9] = 1
    labels[3, 10:15, 14:18] = 2
    return labels


def predictions() -> dict[str, np.ndarray]:
    """case0: correct. case1: half of the sacrum. case2: no odd label, half of the sacrum has the odd label."""
    one, two = truth(), truth()
    one[2, 5:9, 4:9] = 0
    two[two == 2] = 0
    two[2, 5:9, 4:9] = 2
    return {"case0": truth(), "case1": one, "case2": two}


def build(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """Write nnU-Net's folders with one dataset, and set its variables; returns the model folder."""
    raw = folder / "nnUNet_raw" / "Dataset001_X"
    model = folder / "nnUNet_results" / "Dataset001_X" / "nnUNetTrainer__P__3d_fullres"
    noise = np.random.default_rng(0)
    folds = {"case0": 0, "case1": 0, "case2": 1}
    for case, found in predictions().items():
        save(raw / "labelsTr" / f"{case}.nii.gz", truth())
        bright = (truth() * np.int16(300) + noise.integers(0, 50, SHAPE)).astype(np.int16)
        save(raw / "imagesTr" / f"{case}_0000.nii.gz", bright)
        save(model / f"fold_{folds[case]}" / "validation" / f"{case}.nii.gz", found)
    dataset: dict[str, Any] = {
        "labels": {"background": 0, "sacrum": 1, ODD: 2},
        "channel_names": {"0": "CT"},
        "file_ending": ".nii.gz",
    }
    plan = {
        "batch_size": 2,
        "patch_size": [6, 20, 24],
        "spacing": [3.0, 0.5, 0.8],
        "architecture": {
            "network_class_name": "x.y.Net",
            "arch_kwargs": {"n_stages": 2, "strides": [[1, 1, 1], [1, 2, 2]], "stem": "mff"},
            "_kw_requires_import": [],
        },
        "training": {"epochs": 2, "loss": "dice_focal"},
    }
    plans = {
        "dataset_name": "Dataset001_X",
        "plans_name": "P",
        "configurations": {"3d_fullres": plan},
    }
    (model / "plans.json").write_text(json.dumps(plans))
    (model / "dataset.json").write_text(json.dumps(dataset))
    debug = {
        "num_epochs": "2",
        "num_iterations_per_epoch": "9",
        "num_val_iterations_per_epoch": "2",
        "device": "cuda:0",
        "gpu_name": "Some GPU",
        "torch_version": "2.9.1",
        "cudnn_version": "None",
        "hostname": "thishost",
        "log_file": "/home/someone/log.txt",
    }
    for fold in model.glob("fold_*"):
        (fold / "debug.json").write_text(json.dumps(debug))
        (fold / "training_log_2026_1_1_00_00_00.txt").write_text(LOG)
    patch.setenv("nnUNet_raw", str(raw.parent))
    patch.setenv("nnUNet_results", str(model.parents[1]))
    patch.delenv("nnUNet_preprocessed", raising=False)
    return model


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """nnU-Net's folders; `root / "model"` is the model."""
    (tmp_path / "model").symlink_to(build(tmp_path, monkeypatch))
    return tmp_path


@pytest.fixture
def model(root: Path) -> Path:
    return (root / "model").resolve()
