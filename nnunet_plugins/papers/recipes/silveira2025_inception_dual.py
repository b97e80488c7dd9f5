"""Recipe of silveira2025-inception-dual, and the augmentation of its Table 5."""

from __future__ import annotations

from typing import Any

from nnunet_plugins.papers.recipe import Conversion, Recipe, Remark, folds

_SILENT = "not printed"
#: Table 5: rotations, shifts, zoom and horizontal flips, filled with the nearest pixel; the ranges are not printed.
AUGMENTED: dict[str, Any] = {
    "augmentation": {
        "affine": {"p": 1.0, "degrees": 10, "scale": [0.9, 1.1], "shift": 0.1, "fill": "nearest"},
        "flip": {"p": 0.5},
    },
    "mirror_axes": [1],
    "prediction_mirror_axes": [],
}

RECIPE = Recipe(
    key="silveira2025-inception-dual",
    training={
        "epochs": 50,
        "optimizer": "Adam",
        "initial_lr": 1e-4,
        "lr_schedule": "constant",
        "weight_decay": 0.0,
        "loss": {"dice": 1.0},
        "output_weights": {"auxiliary": 1.0},
        "oversample_foreground": 0.0,
        "augmentation": "none",
        "validation_iterations_per_epoch": 16,
    },
    batch_size=2,
    source="'Data preprocessing', 'Parameter optimization', 'Dataset' and Table 5",
    cases=125,  # of 196, four fifths for training, of which a fifth for validation
    patch=(128, 128),
    matrix=(128, 128),
    scheme="RescaleTo01Normalization",
    plan={"batch_dice": False},
    paper={
        "matrix": "128 x 128",
        "spacing": _SILENT,
        "patch": "128 x 128",
        "second target": "8 x 8",
        "intensities": "8 bits, mapped to 0 to 1",
        "interpolation": _SILENT,
        "augmentation": "none",
        "sampling": "the central slice",
        "loss": "Dice of both outputs",
        "optimizer": "Adam",
        "learning rate": "0.0001",
        "batch": "2",
        "epochs": "50",
        "prediction": _SILENT,
    },
    reasons={
        "matrix": "nnU-Net resamples all cases to one voxel size: that of 128 x 128 in the median case, not exactly "
        "128 x 128 in each",
        "spacing": "follows from the matrix, separately along height and width",
        "intensities": "without the step through 8 bits; nnU-Net normalises before it resamples",
        "interpolation": "nnU-Net's",
        "sampling": "the slices that the dataset has: the central one if it was converted so",
        "loss": "its best loss; not printed: whether the background counts, and the weight of the second output",
        "optimizer": "no weight decay is printed: 0, Adam's default",
        "learning rate": "no schedule is printed",
        "prediction": "no test-time augmentation is mentioned",
    },
    conversion=(
        Conversion(
            "slices",
            "the central slice of T1 series, one foreground class",
            "CentralSlice",
            "all slices",
            "nnunet-plugins convert spider ... --central-slice --sequences t1 --scheme binary",
        ),
    ),
    remarks=(
        folds("a fifth of 196 series for testing, a fifth of the others for validation"),
        Remark(
            "framework", "Keras", "PyTorch", "initial weights and batch statistics are PyTorch's"
        ),
    ),
)
