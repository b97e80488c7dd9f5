"""ASPP-UNet (cai2023-aspp-unet): lumbar MRI (CSIG), slices; scores in percent, mean of five folds."""

from __future__ import annotations

from functools import partial
from typing import Any

from nnunet_plugins.papers.paper import Paper
from nnunet_plugins.papers.recipes.cai2023_aspp_unet import RECIPE
from nnunet_plugins.papers.tables import Footnote, Row, Scores, Table, compared, scores
from nnunet_plugins.papers.topologies import POOLED, Topology, millions, plan_arguments

_KEY = "cai2023-aspp-unet"
_table = partial(Table, _KEY, network="ASPPUNet", configuration="2d", classes=9, spread="folds")
_topology = partial(
    Topology, paper=_KEY, source="Table 4", configuration="2d", classes=9, patch=(464, 880)
)

_BONES = ("S", "L5", "L4", "L3", "L2", "L1", "T12", "T11")
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


def _further(dice: str, iou: str, seconds: float) -> Scores:
    """Mean and standard deviation of each bone, in the order of the paper, and seconds per image."""
    found: Scores = {}
    for metric, text in (("DSC", dice), ("MIoU", iou)):
        names = " ".join(f"{metric}:{bone} {metric}:{bone}.sd" for bone in _BONES)
        found |= {name.replace(":", " "): value for name, value in scores(names, text).items()}
    return found | {"s/image": seconds}


_FURTHER = {
    "unet2d": _further(
        "85.0 1.3 88.5 2.4 87.4 2.3 78.5 4.2 67.5 2.1 75.8 3.2 78.4 1.5 78.4 4.2",
        "73.5 0.9 78.3 1.5 76.3 2.9 64.5 1.6 54.2 2.5 60.8 2.8 66.2 3.4 64.9 2.5",
        0.163,
    ),
    "segnet": _further(
        "84.2 1.9 87.0 1.9 83.2 2.2 81.6 2.3 70.5 1.9 77.1 1.2 77.9 1.5 78.3 3.1",
        "74.7 1.5 78.5 1.7 75.6 1.4 66.7 1.9 52.0 2.9 61.7 1.4 66.0 3.9 62.9 1.8",
        0.170,
    ),
    "deeplab": _further(
        "87.5 2.1 86.5 2.2 85.0 2.5 80.5 3.2 75.3 3.5 83.4 1.5 81.5 1.2 84.0 3.1",
        "79.2 0.5 76.1 2.3 74.1 2.3 68.5 2.1 64.2 3.4 71.4 2.6 68.1 2.9 73.1 1.8",
        0.198,
    ),
    "unet3d": _further(
        "86.3 1.5 89.5 2.1 88.5 3.2 82.8 2.8 77.5 2.1 85.7 2.6 83.4 2.5 84.8 2.1",
        "78.2 0.8 81.5 2.1 81.4 2.5 71.4 1.2 64.3 2.1 74.8 2.7 73.4 2.7 74.4 2.5",
        0.221,
    ),
    "nnunet2d": _further(
        "85.2 1.2 85.5 3.2 86.7 2.4 86.4 2.1 84.4 1.9 81.8 1.5 83.7 1.6 89.0 2.4",
        "78.2 1.2 79.4 1.7 75.9 1.5 77.5 0.7 72.3 4.5 68.9 1.8 68.4 2.4 78.7 1.6",
        0.292,
    ),
    "aspp": _further(
        "88.4 1.5 91.0 2.5 89.1 2.4 87.5 2.5 84.0 2.3 82.0 2.1 82.7 1.4 88.1 2.8",
        "79.1 0.9 80.8 1.2 78.0 1.9 78.3 1.4 72.4 3.4 68.3 2.6 69.1 3.0 77.9 1.4",
        0.171,
    ),
}


def _compared(key: str, name: str, network: str, printed: str, **more: Any) -> Row:
    published = scores("DSC DSC.sd MIoU MIoU.sd Params", printed)
    return compared(key, name, network, published, further=_FURTHER[key], **more)


_TABLES = (
    _table(
        2,
        "where ASPP follows the encoder's convolutions",
        rows=tuple(
            Row(
                "aspp" + "".join(map(str, levels)),
                "ASPP" + ", ".join(map(str, levels)),
                "ASPPUNet",
                {"stage_at": [level - 1 for level in levels]},
                published=scores("MIoU MIoU.sd DSC DSC.sd", printed),
                topology="ours",
            )
            for levels, printed in (
                ([1], "68.12 1.12 80.18 3.15"),
                ([2], "69.51 2.57 81.31 2.18"),
                ([3], "70.41 2.16 81.92 2.16"),
                ([4], "71.31 2.65 82.60 1.79"),
                ([3, 4], "72.34 2.28 83.90 2.79"),
                ([2, 3, 4], "74.34 2.26 82.94 2.15"),
                ([1, 2, 3, 4], "75.49 1.98 86.60 2.19"),
            )
        ),
        footnotes=(
            Footnote(
                "From ASPP3, 4 to ASPP2, 3, 4 the MIoU rises by 2.00 and the DSC falls by 0.96.",
                (("aspp234", "MIoU"), ("aspp234", "DSC")),
            ),
        ),
    ),
    _table(
        3,
        "ASPP-UNet compared with other networks",
        rows=(
            _compared("unet2d", "U-Net-2D", "ModularUNet", "79.94 2.65 67.34 2.26 15.08"),
            _compared("segnet", "SegNet", "SegNet", "79.98 2.01 67.26 2.06 15.21"),
            _compared(
                "deeplab",
                "DeepLabV3",
                "DeepLabV3",
                "82.96 2.41 71.84 2.24 46.9",
                configuration="2d",
            ),
            _compared(
                "unet3d",
                "U-Net-3D",
                "ModularUNet",
                "84.81 2.36 74.93 2.08 31.03",
                configuration="3d_fullres",
            ),
            _compared(
                "nnunet2d",
                "nnU-Net-2D",
                "ModularUNet",
                "85.34 2.04 74.83 1.93 60.5",
                training=_NNUNET,
                native=True,
                note="nnU-Net's own procedure",
            ),
            _compared("aspp", "ours", "ASPPUNet", "86.60 2.19 75.49 1.98 22.06"),
        ),
        footnotes=(
            Footnote(
                "The text counts S among the bones with the highest MIoU of ASPP-UNet; DeepLabV3 has 79.2 there.",
                (("aspp", "MIoU S"), ("deeplab", "MIoU S")),
            ),
            Footnote(
                "The text calls the parameters only slightly more than those of U-Net-2D; they are 46 % more, and "
                "SegNet has fewer as well.",
                (("aspp", "Params"),),
            ),
            Footnote(
                "The ± of a mean is the mean of the eight bones' ±, not the standard deviation of the folds' means.",
                tuple((key, metric) for key in _FURTHER for metric in ("DSC", "MIoU")),
            ),
            Footnote(
                "nnU-Net-2D: the mean of the eight bones' MIoU is 74.91.", (("nnunet2d", "MIoU"),)
            ),
            Footnote("The text has 34 test cases in its results and 42 in its discussion."),
            Footnote(
                "Mean over the eight bones; the parameters are those of Table 4. What ± is over is not stated; it is "
                "taken as the five folds."
            ),
        ),
    ),
)

_WIDE = (64, 128, 256, 512, 512)
_CONVS = [4, 2, 2, 2, 0]  # double convolution, then four times double convolution and pooling
_PLAN = plan_arguments(2, _WIDE, _CONVS, [2] * 4, **POOLED)
_SEGNET = plan_arguments(2, _WIDE, [2] * 5, [2] * 4, convs_per_stage=[1, 2, 3, 3, 0])
_TOPOLOGIES = (
    _topology(
        "U-Net-2D", "UNet", _PLAN, millions(15.08), "As fig. 4 draws the network, without ASPP."
    ),
    _topology("SegNet", "SegNet", _SEGNET, millions(15.21)),
    _topology(
        "DeepLabV3",
        "DeepLabV3",
        plan_arguments(2, _WIDE, [2] * 5, [2] * 4),
        millions(46.9),
        "ResNet-101 alone has 42.5 M; what the paper adds to it is not printed.",
    ),
    _topology(
        "U-Net-3D",
        "UNet",
        plan_arguments(3, _WIDE, _CONVS, [2] * 4, **POOLED),
        millions(31.03),
        "31.03 M is a 2D U-Net of 64 to 1024 channels without normalisation (31,031,113 here); a 3D one of the "
        "text's 64 to 512 has more, and 12 slices cannot be halved four times.",
        configuration="3d_fullres",
        patch=(12, 464, 880),
    ),
    _topology(
        "nnU-Net-2D",
        "ModularUNet",
        plan_arguments(
            2,
            (32, 64, 128, 256, 512, 512, 512, 512),
            [2] * 8,
            [2] * 7,
            norm_op="torch.nn.modules.instancenorm.InstanceNorm2d",
            nonlin="torch.nn.LeakyReLU",
        ),
        millions(60.5),
        "The plan of nnU-Net 2.8 for slices of 464 x 880; the paper's version is not known.",
    ),
    _topology(
        "ours",
        "ASPPUNet",
        _PLAN,
        millions(22.06),
        "The width of the ASPP branches is not printed; half the width of the stage is nearest.",
    ),
)

PAPER = Paper(
    key=_KEY,
    number="004",
    title="Spine MRI image segmentation method based on ASPP and U-Net network",
    authors="Cai, Xu, Yang, Lu, Ge, Wang, Liu, Qiu, Chang",
    year=2023,
    link="",
    network="ASPPUNet",
    recipe=RECIPE,
    topologies=_TOPOLOGIES,
    tables=_TABLES,
)
