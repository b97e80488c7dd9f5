"""Paper 004: lumbar MRI (CSIG), slices; percent, mean of five folds."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from nnunet_plugins.papers.rows import Row, Table, compared, scores

_CSIG = partial(scores, "MIoU MIoU.sd DSC DSC.sd")
_BY_CLASS = partial(scores, "DSC DSC.sd MIoU MIoU.sd Params")
_NNUNET = {
    "epochs": 1000,
    "optimizer": "SGD",
    "initial_lr": 0.01,
    "lr_schedule": "poly",
    "momentum": 0.99,
    "weight_decay": 3e-5,
    "loss": {"dice": 1.0, "ce": 1.0},
    "augmentation": "nnunet",
}
TABLES = (
    Table(
        "004.2",
        "where ASPP follows the encoder's convolutions",
        "ASPPUNet",
        "2d",
        9,
        tuple(
            Row(
                "aspp" + "".join(map(str, places)),
                "ASPP" + ", ".join(map(str, places)),
                "ASPPUNet",
                {"stage_at": [place - 1 for place in places]},
                published=_CSIG(printed),
                topology="ours",
            )
            for places, printed in (
                ([1], "68.12 1.12 80.18 3.15"),
                ([2], "69.51 2.57 81.31 2.18"),
                ([3], "70.41 2.16 81.92 2.16"),
                ([4], "71.31 2.65 82.60 1.79"),
                ([3, 4], "72.34 2.28 83.90 2.79"),
                ([2, 3, 4], "74.34 2.26 82.94 2.15"),
                ([1, 2, 3, 4], "75.49 1.98 86.60 2.19"),
            )
        ),
        note="The last row's MIoU is below DSC / (2 - DSC), which means over the same classes and cases cannot be.",
    ),
    Table(
        "004.3",
        "ASPP-UNet and what it is compared with",
        "ASPPUNet",
        "2d",
        9,
        (
            compared("unet2d", "U-Net-2D", "ModularUNet", _BY_CLASS("79.94 2.65 67.34 2.26 15.08")),
            compared("segnet", "SegNet", "SegNet", _BY_CLASS("79.98 2.01 67.26 2.06 15.21")),
            compared(
                "deeplab", "DeepLabV3", "DeepLabV3", _BY_CLASS("82.96 2.41 71.84 2.24 46.9"), "2d"
            ),
            compared(
                "unet3d",
                "U-Net-3D",
                "ModularUNet",
                _BY_CLASS("84.81 2.36 74.93 2.08 31.03"),
                "3d_fullres",
            ),
            replace(
                compared(
                    "nnunet2d", "nnU-Net-2D", "ModularUNet", _BY_CLASS("85.34 2.04 74.83 1.93 60.5")
                ),
                training=_NNUNET,
                note="nnU-Net's own procedure",
            ),
            compared("aspp", "ours", "ASPPUNet", _BY_CLASS("86.60 2.19 75.49 1.98 22.06")),
        ),
        note="Mean over the eight bones; parameters are Table 4's.",
    ),
)
