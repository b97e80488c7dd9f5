"""Paper 002: sacroiliac MRI; percent, four-fold cross-validation and external test set."""

from __future__ import annotations

from functools import partial

from nnunet_plugins.papers.rows import Row, Table, scores

_MRI = partial(scores, "DSC Precision Recall xDSC xPrecision xRecall")
TABLES = (
    Table(
        "002.2",
        "2.5D attention U-Net and what it is compared with",
        "AttentionUNet25D",
        "3d_fullres",
        2,
        (
            Row(
                "net25d",
                "2.5D-AttentionUNet (ours)",
                "AttentionUNet25D",
                published=_MRI("81.86 80.49 85.5 85.44 85.83 86.43"),
                topology="ours (2.5D)",
            ),
            Row(
                "unet2d",
                "2D-UNet",
                "ModularUNet",
                published=_MRI("76.97 78.5 78.24 66.53 69.14 68.09"),
                configuration="2d",
            ),
            Row(
                "unet3d",
                "3D-UNet",
                "ModularUNet",
                published=_MRI("80.05 80.18 82.4 67.40 85.12 62.87"),
            ),
            Row(
                "resunet",
                "ResUNet",
                "ResUNet",
                published=_MRI("76.42 76.49 79.56 66.41 75.74 65.66"),
            ),
            Row("unetr", "UNETR", "UNETR", published=_MRI("73.94 79.64 72.93 57.81 68.83 55.26")),
            Row(
                "attention",
                "Attention U-Net",
                "AttentionUNet",
                published=_MRI("79.73 79.95 82.47 65.54 72.29 67.95"),
            ),
        ),
        note="Mean of four folds; with x in front, of the external test set.",
    ),
)
