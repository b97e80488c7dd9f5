"""MAG-UNet (yan2025-mag-unet): sacroiliac CT; scores in percent, parameters in millions."""

from __future__ import annotations

from functools import partial
from typing import Any

from nnunet_plugins.papers.paper import Paper
from nnunet_plugins.papers.recipes.sacroiliac_ct import YAN
from nnunet_plugins.papers.tables import Footnote, Row, Scores, Table, compared, scores
from nnunet_plugins.papers.topologies import OTHERS, POOLED, Topology, millions, plan_arguments

_KEY = "yan2025-mag-unet"
_ct = partial(scores, "Dice IoU Precision Recall Params")
_attention = partial(scores, "Dice IoU Precision")
_kernels = partial(scores, "IoU Params")
_modules = partial(scores, "IoU Dice Precision Params")
_table = partial(Table, _KEY, network="MAGUNet", configuration="3d_fullres", classes=2)
_topology = partial(
    Topology, paper=_KEY, source="Table 1", configuration="3d_fullres", patch=(50, 256, 256)
)


def _unet(key: str, name: str, published: Scores, note: str = "", **options: Any) -> Row:
    """The paper's 3D U-Net with the modules of ``options``."""
    return Row(
        key, name, "ModularUNet", options, published=published, topology="3D U-Net", note=note
    )


_PLAN = plan_arguments(3, (32, 64, 128, 256, 512), [2] * 5, [2] * 4, **POOLED)
_VNET = plan_arguments(3, (16, 32, 64, 128, 256), [1, 1, 2, 3, 2], [2, 2, 1, 1])
_WIDE = (64, 128, 256, 512, 512)
_BLOCKS = "No topology is printed: the paper's own 3D U-Net with the network's blocks."
_DICE = "Dice of the same network is 92.5 in Table 1, 92.4 in Table 4 and in the abstract."
_GAIN = (
    "The text gives 3.4 % as the gain in Dice over the 3D U-Net; that is the gain in IoU. The gain in Dice is 2.0 "
    "or 2.1."
)
_SEGNET = plan_arguments(3, (*_WIDE, 512), [2] * 6, [2] * 5, convs_per_stage=[2, 2, 3, 3, 3, 0])
_UNETR = plan_arguments(3, (16, 32, 64, 128, 256), [2] * 5, [2] * 4)
_WIDTHS = (
    "Section 1.1 prints 256 channels at 3 x 16 x 16 after four poolings, and no other widths. Doubling up to 256 has "
    "5.65 M; 32 to 512 is nearest to the printed count. 50 slices are padded to 64 here, which leaves 4 x 16 x 16."
)
_MODULES = (
    "Width and groups of the gates are not printed; they are fitted to the total. Alone the modules add 0.788 (DA), "
    "0.018 (MFF) and 0.588 M (LGAG) here, and 0.56, 0.69 and 0.64 M in Table 4. With the gates of EMCAD (arXiv "
    '2405.06880), skip_kwargs {"emcad": true}, LGAG adds 0.027 M.'
)
_TOPOLOGIES = (
    _topology(
        "3D U-Net",
        "UNet",
        _PLAN,
        millions(22.45),
        _WIDTHS,
    ),
    _topology("3D V-Net", "VNet", _VNET, millions(54.14), OTHERS),
    _topology("ResUNet", "ResUNet", _PLAN, millions(55.92), _BLOCKS),
    _topology("Attention UNet", "AttentionUNet", _PLAN, millions(118.51), _BLOCKS),
    _topology("SegNet", "SegNet", _SEGNET, millions(76.80), OTHERS),
    _topology("UNETR", "UNETR", _UNETR, millions(106.27), OTHERS),
    _topology(
        "DeepLabv3+",
        "DeepLabV3Plus",
        plan_arguments(2, _WIDE, [2] * 5, [2] * 4),
        millions(52.85),
        "2D only here; the paper does not state how it fed volumes. Its backbone is not printed either: "
        "ResNet-101 here.",
        configuration="2d",
        patch=(256, 256),
    ),
    _topology("MAG-UNet", "MAGUNet", _PLAN, millions(23.98), _MODULES),
)
_TABLES = (
    _table(
        1,
        "MAG-UNet compared with other networks",
        rows=(
            compared("unet", "3D U-Net", "ModularUNet", _ct("90.4 82.6 89.2 92.6 22.45")),
            compared("vnet", "3D V-Net", "VNet", _ct("89.5 81.0 88.5 91.0 54.14")),
            compared("resunet", "ResUNet", "ResUNet", _ct("91.0 83.6 91.1 91.3 55.92")),
            compared(
                "attention", "Attention UNet", "AttentionUNet", _ct("91.8 84.1 92.0 91.5 118.51")
            ),
            compared("segnet", "SegNet", "SegNet", _ct("88.6 79.5 87.5 89.0 76.80")),
            compared("unetr", "UNETR", "UNETR", _ct("87.3 77.9 84.6 88.4 106.27")),
            compared(
                "deeplab",
                "DeepLabv3+",
                "DeepLabV3Plus",
                _ct("90.7 82.9 91.0 90.6 52.85"),
                configuration="2d",
            ),
            compared("mag", "MAG-UNet", "MAGUNet", _ct("92.5 86.0 93.3 91.3 23.98")),
        ),
        footnotes=(
            Footnote(_DICE, (("mag", "Dice"),)),
            Footnote(_GAIN, (("mag", "IoU"),)),
            Footnote(
                "The scores up to Attention UNet equal those of jing2025-se-unet to the last digit, on 70 cases "
                "instead of 40."
            ),
            Footnote(
                "The text finds far fewer parameters than in TransUNet, which is not in the table.",
                (("mag", "Params"),),
            ),
        ),
    ),
    _table(
        2,
        "attention at the bottleneck",
        rows=(
            _unet("unet", "3D Unet", _attention("90.4 82.6 89.2")),
            _unet("se", "+SE", _attention("90.7 83.0 89.5"), bottleneck="se"),
            _unet("cbam", "+CBAM", _attention("91.0 83.2 89.8"), bottleneck="cbam"),
            _unet("nonlocal", "+Non_Local", _attention("90.6 82.8 89.4"), bottleneck="nonlocal"),
            _unet("eca", "+ECA", _attention("88.4 79.6 87.6"), bottleneck="eca"),
            _unet("da", "+DA_Block", _attention("91.5 84.4 90.9"), bottleneck="da"),
        ),
        footnotes=(
            Footnote(
                "jing2025-se-unet prints 91.4 for SE at the bottleneck of the same 3D U-Net.",
                (("se", "Dice"),),
            ),
            Footnote(
                "The text states that attention improves the network in general; ECA lowers its Dice by 2.0.",
                (("eca", "Dice"),),
            ),
        ),
    ),
    _table(
        3,
        "kernels of the multi-scale stem",
        rows=tuple(
            _unet(
                "k" + "".join(map(str, scales)),
                f"[{','.join(map(str, scales))}]",
                _kernels(printed),
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
        footnotes=(
            Footnote(
                "More parameters are printed for kernels of 1, 3, 5 than for 3, 5, 7, which have more.",
                (("k135", "Params"), ("k357", "Params")),
            ),
            Footnote("[3] is the plain 3D U-Net: two convolutions of 3.", (("k3", "IoU"),)),
            Footnote(
                "The text prefers several kernels to one; of the five sets only 1, 3, 5 has a higher IoU than [3].",
                tuple((key, "IoU") for key in ("k13", "k33", "k333", "k357")),
            ),
            Footnote(
                "The text calls 23.14 M the best number of parameters; it is the largest of the table.",
                (("k135", "Params"),),
            ),
        ),
    ),
    _table(
        4,
        "modules of MAG-UNet",
        rows=(
            _unet("unet", "3D U-Net", _modules("82.6 90.4 89.2 22.45")),
            _unet("da", "Da_Block", _modules("84.4 91.5 90.9 23.01"), bottleneck="da"),
            _unet("mff", "MFF", _modules("83.2 90.8 89.5 23.14"), stem="mff"),
            _unet("lgag", "LGAG", _modules("83.0 90.6 89.4 23.09"), skip="lgag"),
            _unet(
                "da-mff",
                "Da_Block, MFF",
                _modules("84.8 91.7 91.2 23.45"),
                bottleneck="da",
                stem="mff",
            ),
            _unet(
                "da-lgag",
                "Da_Block, LGAG",
                _modules("84.6 91.6 91.0 23.30"),
                bottleneck="da",
                skip="lgag",
            ),
            _unet("mff-lgag", "MFF, LGAG", {}, "not in the paper", stem="mff", skip="lgag"),
            _unet(
                "da-mff-lgag",
                "Da_Block, MFF, LGAG",
                _modules("86.0 92.4 93.3 23.98"),
                bottleneck="da",
                stem="mff",
                skip="lgag",
            ),
        ),
        footnotes=(
            Footnote(_DICE, (("da-mff-lgag", "Dice"),)),
            Footnote(
                "The parameters of the modules do not add up: 22.45 + 0.56 + 0.69 + 0.64 is 24.34.",
                (("da-mff", "Params"), ("da-lgag", "Params"), ("da-mff-lgag", "Params")),
            ),
            Footnote(_GAIN, (("da-mff-lgag", "IoU"),)),
        ),
    ),
)

PAPER = Paper(
    key=_KEY,
    number="001",
    title="Sacral-iliac joint segmentation network integrating large kernel gated mechanisms and dual attention",
    authors="Yan, Jing, Xu, Zhang, Wang",
    year=2025,
    link="",
    network="MAGUNet",
    recipe=YAN,
    topologies=_TOPOLOGIES,
    tables=_TABLES,
    footnotes=(
        "Section 2.1: 70 cases of 150 to 200 slices have at least 10,500 slices; the paper has 10,414, and later "
        "gives 50 to 200 slices a case.",
    ),
)
