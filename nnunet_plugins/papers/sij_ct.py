"""Papers 000 and 001: sacroiliac CT; percent, parameters in millions."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from nnunet_plugins.papers.rows import Row, Scores, Table, compared, scores

_CT = partial(scores, "Dice IoU Precision Recall Params")
_ATTENTION = partial(scores, "Dice IoU Precision")
_KERNELS = partial(scores, "IoU Params")
_MODULES = partial(scores, "IoU Dice Precision Params")


def _on_3d_unet(
    key: str, name: str, published: Scores, network: str = "ModularUNet", **options: Any
) -> Row:
    """A row that the papers put on their 3D U-Net."""
    return Row(key, name, network, options, published=published, topology="3D U-Net")


TABLES: tuple[Table, ...] = (
    Table(
        "000.1",
        "SE U-Net and what it is compared with",
        "SEUNet",
        "3d_fullres",
        2,
        (
            _on_3d_unet("unet", "3D U-Net", _CT("90.4 82.6 89.2 92.6 38.3")),
            compared("vnet", "3D V-Net", "VNet", _CT("89.5 81.0 88.5 91.0 92.3")),
            compared("resunet", "ResUNet", "ResUNet", _CT("91.0 83.6 91.1 91.3 95.2")),
            compared(
                "attention", "Attention UNet", "AttentionUNet", _CT("91.8 84.1 92.0 91.5 118.51")
            ),
            compared("se", "Ours", "SEUNet", _CT("91.4 84.3 90.8 92.7 38.31")),
        ),
        note="The abstract has a gain in Dice of 1.1, the text 1.0.",
    ),
    Table(
        "000.2",
        "with and without SE at the bottleneck",
        "SEUNet",
        "3d_fullres",
        2,
        (
            _on_3d_unet("unet", "Basic 3D U-Net", _CT("90.4 82.6 89.2 92.6 38.3")),
            _on_3d_unet(
                "se",
                "+SE module (bottleneck layer)",
                _CT("91.4 84.3 90.8 92.7 38.31"),
                bottleneck="se",
            ),
        ),
        note="Parameters are Table 1's.",
    ),
    Table(
        "001.1",
        "MAG-UNet and what it is compared with",
        "MAGUNet",
        "3d_fullres",
        2,
        (
            _on_3d_unet("unet", "3D U-Net", _CT("90.4 82.6 89.2 92.6 22.45")),
            compared("vnet", "3D V-Net", "VNet", _CT("89.5 81.0 88.5 91.0 54.14")),
            compared("resunet", "ResUNet", "ResUNet", _CT("91.0 83.6 91.1 91.3 55.92")),
            compared(
                "attention", "Attention UNet", "AttentionUNet", _CT("91.8 84.1 92.0 91.5 118.51")
            ),
            compared("segnet", "SegNet", "SegNet", _CT("88.6 79.5 87.5 89.0 76.80")),
            compared("unetr", "UNETR", "UNETR", _CT("87.3 77.9 84.6 88.4 106.27")),
            compared(
                "deeplab", "DeepLabv3+", "DeepLabV3Plus", _CT("90.7 82.9 91.0 90.6 52.85"), "2d"
            ),
            compared("mag", "MAG-UNet", "MAGUNet", _CT("92.5 86.0 93.3 91.3 23.98")),
        ),
        note="The scores up to Attention UNet are 000's to the digit, on 70 cases instead of 40.",
    ),
    Table(
        "001.2",
        "attention at the bottleneck",
        "MAGUNet",
        "3d_fullres",
        2,
        (
            _on_3d_unet("unet", "3D Unet", _ATTENTION("90.4 82.6 89.2")),
            _on_3d_unet("se", "+SE", _ATTENTION("90.7 83.0 89.5"), bottleneck="se"),
            _on_3d_unet("cbam", "+CBAM", _ATTENTION("91.0 83.2 89.8"), bottleneck="cbam"),
            _on_3d_unet(
                "nonlocal", "+Non_Local", _ATTENTION("90.6 82.8 89.4"), bottleneck="nonlocal"
            ),
            _on_3d_unet("eca", "+ECA", _ATTENTION("88.4 79.6 87.6"), bottleneck="eca"),
            _on_3d_unet("da", "+DA_Block", _ATTENTION("91.5 84.4 90.9"), bottleneck="da"),
        ),
        note="+SE is 000's network, which scored 91.4 there.",
    ),
    Table(
        "001.3",
        "kernels of the multi-scale stem",
        "MAGUNet",
        "3d_fullres",
        2,
        tuple(
            _on_3d_unet(
                "k" + "".join(map(str, scales)),
                f"[{','.join(map(str, scales))}]",
                _KERNELS(printed),
                stem="mff",
                stem_kwargs={"scales": scales},
            )
            for scales, printed in (
                ([1], "79.6 22.42"),
                ([3], "82.6 22.45"),
                ([5], "80.2 22.54"),
                ([1, 3], "82.5 22.48"),
                ([3, 3], "81.6 22.50"),
                ([1, 3, 5], "83.2 23.14"),
                ([3, 3, 3], "80.8 22.58"),
                ([3, 5, 7], "81.0 22.62"),
            )
        ),
        note="The parameters cannot be: kernels of 1, 3, 5 have fewer than 3, 5, 7. [3] is the plain 3D U-Net: two "
        "convolutions of 3.",
    ),
    Table(
        "001.4",
        "modules of MAG-UNet",
        "MAGUNet",
        "3d_fullres",
        2,
        (
            _on_3d_unet("unet", "3D U-Net", _MODULES("82.6 90.4 89.2 22.45")),
            _on_3d_unet("da", "Da_Block", _MODULES("84.4 91.5 90.9 23.01"), bottleneck="da"),
            _on_3d_unet("mff", "MFF", _MODULES("83.2 90.8 89.5 23.14"), stem="mff"),
            _on_3d_unet("lgag", "LGAG", _MODULES("83.0 90.6 89.4 23.09"), skip="lgag"),
            _on_3d_unet(
                "da-mff",
                "Da_Block, MFF",
                _MODULES("84.8 91.7 91.2 23.45"),
                bottleneck="da",
                stem="mff",
            ),
            _on_3d_unet(
                "da-lgag",
                "Da_Block, LGAG",
                _MODULES("84.6 91.6 91.0 23.30"),
                bottleneck="da",
                skip="lgag",
            ),
            replace(
                _on_3d_unet("mff-lgag", "MFF, LGAG", {}, stem="mff", skip="lgag"),
                note="not in the paper",
            ),
            _on_3d_unet(
                "da-mff-lgag",
                "Da_Block, MFF, LGAG",
                _MODULES("86.0 92.4 93.3 23.98"),
                bottleneck="da",
                stem="mff",
                skip="lgag",
            ),
        ),
        note="The parameters do not add up. Table 1 has 92.5 for the last row's Dice; the abstract's gain of 3.4 % "
        "is IoU's.",
    ),
)
