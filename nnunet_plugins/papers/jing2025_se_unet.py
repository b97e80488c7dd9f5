"""SE U-Net (jing2025-se-unet): sacroiliac CT; scores in percent, parameters in millions."""

from __future__ import annotations

from functools import partial

from nnunet_plugins.papers.paper import Paper
from nnunet_plugins.papers.recipes.sacroiliac_ct import JING
from nnunet_plugins.papers.tables import Footnote, Row, Table, compared, scores
from nnunet_plugins.papers.topologies import OTHERS, POOLED, Topology, millions, plan_arguments

_KEY = "jing2025-se-unet"
_ct = partial(scores, "Dice IoU Precision Recall Params")
_table = partial(Table, _KEY, network="SEUNet", configuration="3d_fullres", classes=2)
_topology = partial(
    Topology,
    paper=_KEY,
    source="Table 1",
    configuration="3d_fullres",
    patch=(50, 256, 256),  # slices as in yan2025-mag-unet, which has scans of the same hospital
)

_UNET = _ct("90.4 82.6 89.2 92.6 38.3")
_SE = _ct("91.4 84.3 90.8 92.7 38.31")
_GAIN = Footnote(
    "The gain in Dice over the 3D U-Net is 1.1 in the abstract and 5.1 % in section 2.1; 91.4 - 90.4 is 1.0.",
    (("se", "Dice"),),
)
_PLAN = plan_arguments(3, (64, 128, 256, 512, 512), [1, 1, 1, 1, 2], [1, 1, 1, 1], **POOLED)
_VNET = plan_arguments(3, (16, 32, 64, 128, 256), [1, 1, 2, 3, 2], [2, 2, 1, 1])
_WIDTHS = (
    "38.3 M cannot be identified. The text has one convolution per level, 64 to 512 channels and four poolings; "
    "SE adds at most 0.06 M, so the bottleneck has 512. Two convolutions there are nearest."
)
_BLOCKS = "No topology is printed: the paper's own 3D U-Net with the network's blocks."

PAPER = Paper(
    key=_KEY,
    number="000",
    title="Accurate Segmentation Method of Sacroiliac Joint CT Images Based on Improved U-Net",
    authors="Jing, Xu",
    year=2025,
    link="https://doi.org/10.71204/0ek2wm31",
    network="SEUNet",
    recipe=JING,
    topologies=(
        _topology("3D U-Net", "UNet", _PLAN, millions(38.3), _WIDTHS),
        _topology("3D V-Net", "VNet", _VNET, millions(92.3), OTHERS),
        _topology("ResUNet", "ResUNet", _PLAN, millions(95.2), _BLOCKS),
        _topology("Attention UNet", "AttentionUNet", _PLAN, millions(118.51), _BLOCKS),
        _topology("Ours", "SEUNet", _PLAN, millions(38.31), _WIDTHS),
    ),
    tables=(
        _table(
            1,
            "SE U-Net compared with other networks",
            rows=(
                compared("unet", "3D U-Net", "ModularUNet", _UNET),
                compared("vnet", "3D V-Net", "VNet", _ct("89.5 81.0 88.5 91.0 92.3")),
                compared("resunet", "ResUNet", "ResUNet", _ct("91.0 83.6 91.1 91.3 95.2")),
                compared(
                    "attention",
                    "Attention UNet",
                    "AttentionUNet",
                    _ct("91.8 84.1 92.0 91.5 118.51"),
                ),
                compared("se", "Ours", "SEUNet", _SE),
            ),
            footnotes=(
                _GAIN,
                Footnote("Section 3.6 announces six networks to compare with and lists four."),
                Footnote(
                    "The abstract calls the performance superior; Attention UNet has the higher Dice and precision.",
                    (("attention", "Dice"), ("attention", "Precision")),
                ),
            ),
        ),
        _table(
            2,
            "with and without SE at the bottleneck",
            rows=(
                Row("unet", "Basic 3D U-Net", "ModularUNet", published=_UNET, topology="3D U-Net"),
                Row(
                    "se",
                    "+SE module (bottleneck layer)",
                    "ModularUNet",
                    {"bottleneck": "se"},
                    published=_SE,
                    topology="3D U-Net",
                ),
            ),
            footnotes=(_GAIN, Footnote("The parameters are those of Table 1.")),
        ),
    ),
)
