"""Recipes of jing2025-se-unet and yan2025-mag-unet: sacroiliac CT of one hospital, prepared alike."""

from __future__ import annotations

from dataclasses import replace

from nnunet_plugins.papers.recipe import Conversion, Recipe, folds

_SILENT = "not printed"
_PAPER = {
    "matrix": "256 x 256",
    "spacing": _SILENT,
    "patch": _SILENT,
    "intensities": "window -200 to 1200, linear",
    "interpolation": _SILENT,
    "augmentation": "random affine: flips, rotation, scaling; no numbers",
    "sampling": _SILENT,
    "loss": "Dice",
    "optimizer": "Adam, weight decay 0.0001",
    "learning rate": "0.0001 at the start",
    "batch": "1",
    "epochs": "300",
    "prediction": _SILENT,
}
_REASONS = {
    "matrix": "nnU-Net resamples all cases to one voxel size: that of 256 x 256 in the median case",
    "spacing": "within the slices it follows from the matrix, from slice to slice it is that of the data",
    "patch": "50 x 256 x 256 as in yan2025-mag-unet, of the same hospital; cut at random where there are more slices",
    "intensities": "what the window is mapped to is not printed",
    "interpolation": "nnU-Net's",
    "augmentation": "probabilities and ranges are not printed; flips leave out left-right if labels have sides",
    "sampling": "as in a pass over the cases",
    "learning rate": "no schedule is printed",
    "prediction": "no test-time augmentation is mentioned",
}
_RIGID = {"degrees": 10, "about": [0], "scale": [0.9, 1.1], "along": [1, 2]}

JING = Recipe(
    key="jing2025-se-unet",
    training={
        "epochs": 300,
        "optimizer": "Adam",
        "initial_lr": 1e-4,
        "lr_schedule": "constant",
        "weight_decay": 1e-4,
        "loss": {"dice": 1.0, "ce": 0.0},
        "oversample_foreground": 0.0,
        "augmentation": {"affine": {"p": 0.5, **_RIGID}, "flip": {"p": 0.5}},
        "prediction_mirror_axes": [],
        "validation_iterations_per_epoch": 12,
    },
    batch_size=1,
    source="sections 3.1 to 3.3 and 3.5",
    cases=28,
    patch=(50, 256, 256),
    matrix=(256, 256),
    window=(-200.0, 1200.0),
    paper=_PAPER,
    reasons=_REASONS,
    conversion=(
        Conversion(
            "slices",
            "without slices that show no target",
            "DropEmptySlices",
            "all slices",
            "nnunet-plugins convert hospital-ct ... --drop-empty-slices",
        ),
    ),
    remarks=(folds("by patient, 28 for training, 12 for validation"),),
)

YAN = replace(
    JING,
    key="yan2025-mag-unet",
    training={
        **JING.training,
        "loss": {"dice": 1.0, "ce": 1.0},
        "augmentation": {
            "affine": {"p": 0.5, **_RIGID, "shift": 0.05},
            "gamma": {"p": 0.5, "range": [0.74, 1.35]},
            "flip": {"p": 0.5},
        },
        "validation_iterations_per_epoch": 21,
    },
    source="sections 1.1 and 2.1, 2), 3) and 5)",
    cases=49,
    paper={
        **_PAPER,
        "spacing": "not printed; 0.449 to 0.801 mm before the scaling",
        "patch": "50 x 256 x 256",
        "augmentation": "flips, affine (rotation, scaling, shift) and gamma, each of probability 0.5",
        "loss": "Dice + cross-entropy",
    },
    reasons={
        **_REASONS,
        "augmentation": "ranges are not printed; flips leave out left-right if labels have sides",
    },
    remarks=(folds("at random, 49 for training, 21 for validation"),),
)
