"""Recipe of sij-fm-25d-attention-unet. Where the text differs from the authors' code, that of the code, which ran."""

from __future__ import annotations

from dataclasses import replace
from math import degrees

from nnunet_plugins.papers.recipe import Recipe, Remark, folds

_CODE = Recipe(
    key="sij-fm-25d-attention-unet",
    training={
        "epochs": 400,
        "optimizer": "AdamW",
        "initial_lr": 5e-4,
        "lr_schedule": "step",
        "lr_decay": 0.5,
        "lr_step": 3800,
        "weight_decay": 0.01,  # AdamW's default, which the code leaves
        "loss": {"dice": {"weight": 1.0, "background": True}, "ce": 1.0},
        "output_weights": {"attention": 0.2},
        "oversample_foreground": 0.5,
        "augmentation": {
            "affine": {
                "p": 0.15,
                "degrees": round(degrees(0.05), 3),
                "about": [1, 2],
                "scale": [0.9, 1.1],
                "along": [1, 2],
            },
            "noise": {"p": 0.15, "std": [0.0, 0.01]},
            "flip": {"p": 0.5},
        },
        "prediction_mirror_axes": [1, 2],
        "validation_iterations_per_epoch": 5,  # 26 cases, as batches of 6
    },
    batch_size=6,
    source="'Model development' and the authors' code (train.py, process.py, loss.py, inference.py)",
    cases=77,  # of 103, in four folds; 78 in one of them
    samples=3,
    patch=(16, 192, 192),
    spacing=(7.0, 1.0, 1.0),
    scheme="ZScoreNormalization",
    plan={
        "resampling_fn_data_kwargs": {
            "is_seg": False,
            "order": 1,
            "order_z": 1,
            "force_separate_z": False,
        },
        "resampling_fn_seg_kwargs": {
            "is_seg": True,
            "order": 0,
            "order_z": 0,
            "force_separate_z": False,
        },
    },
    paper={
        "spacing": "7 x 1 x 1 mm",
        "patch": "16 x 192 x 192",
        "intensities": "z-score of each image",
        "interpolation": "linear, labels nearest",
        "augmentation": "affine (0.05 rad, 10 %) p 0.15, noise (up to 0.01) p 0.15, flips p 0.5 per axis",
        "sampling": "three crops of each of two cases, half of them around foreground",
        "loss": "Dice with background + cross-entropy, attention 0.2",
        "optimizer": "AdamW, weight decay 0.01 in the code; 'Adam' in the text",
        "learning rate": "0.0005, times 0.5 every 3800 steps",
        "batch": "6 in the code (three crops of each of two cases); 2 in the text",
        "epochs": "400",
        "prediction": "mean over the image and four noisy copies, these also mirrored along axis 1 or 2",
    },
    reasons={
        "augmentation": "the same transforms; flips leave out left-right if labels have sides",
        "sampling": "nnU-Net draws the case of each crop at random",
        "optimizer": "as in the code; --recipe printed takes Adam",
        "batch": "as in the code; --recipe printed takes 2",
        "prediction": "nnU-Net also mirrors along both axes at once, and adds no noise",
    },
    remarks=(
        folds("four folds of 103 cases; 20 of another hospital for testing"),
        Remark(
            "loss of the attention",
            "in the text and the README; commented out in the code",
            "used",
            "the weight 0.2 is from the code",
        ),
        Remark("padding", "by reflection", "with zeros", "nnU-Net's loader"),
        Remark(
            "checkpoint",
            "best Dice of the validation cases",
            "last epoch",
            "nnU-Net's default; nnUNetv2_predict -chk checkpoint_best.pth takes its best",
        ),
    ),
)

RECIPE = replace(
    _CODE,
    printed=replace(
        _CODE,
        training={**_CODE.training, "optimizer": "Adam", "weight_decay": 0.0},
        batch_size=2,
        samples=1,
        paper={**_CODE.paper, "optimizer": "Adam", "batch": "2"},
        reasons={
            **_CODE.reasons,
            "optimizer": "the text states no weight decay: 0, Adam's default; --recipe paper takes the code's AdamW",
            "batch": "",
            "sampling": "two crops of cases at random, as the text has a batch of 2",
        },
    ),
)
