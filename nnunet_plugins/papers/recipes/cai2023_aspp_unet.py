"""Recipe of cai2023-aspp-unet; its 'training batch', of which there are 50, is read as an epoch."""

from __future__ import annotations

from nnunet_plugins.papers.recipe import Conversion, Recipe, folds

_SILENT = "not printed"

RECIPE = Recipe(
    key="cai2023-aspp-unet",
    training={
        "epochs": 50,
        "optimizer": "SGD",
        "initial_lr": 0.01,
        "lr_schedule": "exponential",
        "lr_decay": 0.99,
        "momentum": 0.0,
        "weight_decay": 0.0,
        "loss": {"ce": 1.0},
        "oversample_foreground": 0.0,
        "augmentation": "none",
        "validation_iterations_per_epoch": 50,
    },
    batch_size=2,
    source="sections 2.1, 2.5, 2.7 and 3, eq. 1 and 4",
    cases=138,
    samples=12,
    patch=(464, 880),
    paper={
        "spacing": _SILENT,
        "patch": "464 x 880",
        "intensities": _SILENT,
        "interpolation": "sizes unified to 880 x 880; how is not printed",
        "augmentation": "none",
        "sampling": "all slices",
        "loss": "cross-entropy",
        "optimizer": "SGD",
        "learning rate": "0.01, times 0.99 per epoch",
        "batch": "2",
        "epochs": "50",
        "prediction": _SILENT,
    },
    reasons={
        "spacing": "nnU-Net's, the median: 880 x 880 in most cases before the crop",
        "patch": "the same slices; here height comes first",
        "intensities": "nnU-Net's",
        "interpolation": "nnU-Net's; it unifies the voxel size",
        "sampling": "slices at random, as in a pass over all of them",
        "optimizer": "neither momentum nor weight decay is printed: 0, SGD's defaults",
        "prediction": "no test-time augmentation is mentioned",
    },
    conversion=(
        Conversion(
            "crop",
            "464 of 880 columns",
            "CropWidth",
            "the whole width",
            "nnunet-plugins convert csig ... --crop 464 --scheme aspp",
        ),
    ),
    remarks=(folds("138 for training, 34 for testing, five times"),),
)
