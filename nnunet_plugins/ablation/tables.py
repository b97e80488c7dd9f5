"""The tables of the papers: which network, block and procedure each row stands for, and what it scored.

A row is a network of ours with arguments that stand in for, or go beside, the topology of a plan. 'U-Net' is
ModularUNet, so that a row with a module differs from it by the module and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from architectures.naming import nearest_first
from nnunet_plugins.errors import UserError

Scores = dict[str, float]


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        key: names the row on the command line and in its configuration.
        name: as the paper calls it.
        network: our network.
        options: its arguments beside the topology's.
        training: entries of the ``training`` procedure that the row is about.
        published: what the paper prints; empty where it leaves the row out.
        topology: what the row stands on with ``--paper``, by its name in ``published.TOPOLOGIES``; '' where the
            paper prints nothing from which it could be told.
        configuration: where the row needs another than its table.
        note: what the row does not tell.
    """

    key: str
    name: str
    network: str
    options: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    published: Scores = field(default_factory=dict)
    topology: str = ""
    configuration: str = ""
    note: str = ""


@dataclass(frozen=True)
class Table:
    """One table of one paper.

    Attributes:
        id: paper and number of the table.
        about: what it compares.
        network: the paper's own, whose recipe ``--paper`` takes.
        configuration: '2d' or '3d_fullres', as the paper trained.
        classes: of the paper's data, background included.
        rows: in the paper's order.
        note: what of the printed numbers does not hold.
    """

    id: str
    about: str
    network: str
    configuration: str
    classes: int
    rows: tuple[Row, ...]
    note: str = ""

    @property
    def paper(self) -> str:
        """Number of the paper."""
        return self.id.partition(".")[0]

    @property
    def source(self) -> str:
        """Where the rows stand."""
        return f"paper {self.paper}, Table {self.id.partition('.')[2]}"

    def row(self, key: str) -> Row:
        """The row called ``key``.

        Raises:
            UserError: unknown, with the known ones, the nearest first.
        """
        rows = {row.key: row for row in self.rows}
        if key not in rows:
            known = ", ".join(nearest_first(key, rows))
            raise UserError(f"{self.id}: no row called {key!r}; known, the nearest first: {known}")
        return rows[key]


def find(table: str) -> Table:
    """The table with the id ``table``.

    Raises:
        UserError: unknown, with the known ones, the nearest first.
    """
    tables = {t.id: t for t in TABLES}
    if table not in tables:
        known = ", ".join(nearest_first(table, tables))
        raise UserError(f"no table called {table!r}; known, the nearest first: {known}")
    return tables[table]


def _scores(metrics: str, values: str) -> Scores:
    return dict(zip(metrics.split(), map(float, values.split()), strict=True)) if values else {}


# 000 and 001: sacroiliac CT; percent, parameters in millions

_CT = partial(_scores, "Dice IoU Precision Recall Params")
_ATTENTION = partial(_scores, "Dice IoU Precision")
_KERNELS = partial(_scores, "IoU Params")
_MODULES = partial(_scores, "IoU Dice Precision Params")


def _on_3d_unet(
    key: str, name: str, published: Scores, network: str = "ModularUNet", **options: Any
) -> Row:
    """A row that the papers put on their 3D U-Net."""
    return Row(key, name, network, options, published=published, topology="3D U-Net")


def _compared(
    key: str, name: str, network: str, published: Scores, configuration: str = "", note: str = ""
) -> Row:
    """A row that stands on what its paper calls a topology of its own."""
    return Row(
        key,
        name,
        network,
        published=published,
        topology=name,
        configuration=configuration,
        note=note,
    )


_SIJ_CT = (
    Table(
        "000.1",
        "SE U-Net and what it is compared with",
        "SEUNet",
        "3d_fullres",
        2,
        (
            _on_3d_unet("unet", "3D U-Net", _CT("90.4 82.6 89.2 92.6 38.3")),
            _compared("vnet", "3D V-Net", "VNet", _CT("89.5 81.0 88.5 91.0 92.3")),
            _compared("resunet", "ResUNet", "ResUNet", _CT("91.0 83.6 91.1 91.3 95.2")),
            _compared(
                "attention", "Attention UNet", "AttentionUNet", _CT("91.8 84.1 92.0 91.5 118.51")
            ),
            _compared("se", "Ours", "SEUNet", _CT("91.4 84.3 90.8 92.7 38.31")),
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
            _compared("vnet", "3D V-Net", "VNet", _CT("89.5 81.0 88.5 91.0 54.14")),
            _compared("resunet", "ResUNet", "ResUNet", _CT("91.0 83.6 91.1 91.3 55.92")),
            _compared(
                "attention", "Attention UNet", "AttentionUNet", _CT("91.8 84.1 92.0 91.5 118.51")
            ),
            _compared("segnet", "SegNet", "SegNet", _CT("88.6 79.5 87.5 89.0 76.80")),
            _compared("unetr", "UNETR", "UNETR", _CT("87.3 77.9 84.6 88.4 106.27")),
            _compared(
                "deeplab", "DeepLabv3+", "DeepLabV3Plus", _CT("90.7 82.9 91.0 90.6 52.85"), "2d"
            ),
            _compared("mag", "MAG-UNet", "MAGUNet", _CT("92.5 86.0 93.3 91.3 23.98")),
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
                _KERNELS(scores),
                stem="mff",
                stem_kwargs={"scales": scales},
            )
            for scales, scores in (
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

# 002: sacroiliac MRI; percent, four-fold cross-validation and external test set

_MRI = partial(_scores, "DSC Precision Recall xDSC xPrecision xRecall")
_FAT = Table(
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
            "unet3d", "3D-UNet", "ModularUNet", published=_MRI("80.05 80.18 82.4 67.40 85.12 62.87")
        ),
        Row("resunet", "ResUNet", "ResUNet", published=_MRI("76.42 76.49 79.56 66.41 75.74 65.66")),
        Row("unetr", "UNETR", "UNETR", published=_MRI("73.94 79.64 72.93 57.81 68.83 55.26")),
        Row(
            "attention",
            "Attention U-Net",
            "AttentionUNet",
            published=_MRI("79.73 79.95 82.47 65.54 72.29 67.95"),
        ),
    ),
    note="Mean of four folds; with x in front, of the external test set.",
)

# 003: lumbar MRI, central slices; scores from 0 to 1

_SPIDER = partial(_scores, "mIoU Accuracy Precision Recall F1")
#: Behind a softmax over two classes binary cross-entropy is cross-entropy.
_LOSSES: dict[str, dict[str, Any]] = {
    "bce": {"ce": 1.0},
    "dice": {"dice": 1.0},
    "focal": {"focal": {"weight": 1.0, "alpha": 0.5, "gamma": 2.0}},
    "bce-dice": {"dice": 1.0, "ce": 1.0},
}
_NAMES = {"bce": "BCE", "dice": "Dice", "focal": "Focal", "bce-dice": "BCE-Dice"}
#: Key -> name, network, its block where the network's default is another.
_MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "unet": ("U-Net", "ModularUNet", {}),
    "resunet": ("ResUNet", "ResUNet", {}),
    "attention": ("Attention U-Net", "AttentionUNet", {"skip_kwargs": {"reduction": 1}}),
    "transunet": (
        "TransUNet",
        "TransUNet",
        {"bottleneck_kwargs": {"depth": 1, "heads": 8, "head_dim": 64, "hidden": 128}},
    ),
    "proposed": ("Proposed Model", "InceptionDualUNet", {}),
}


def _on_2d(
    model: str,
    loss: str,
    scores: str,
    *,
    beside: str = "",
    key: str = "",
    options: dict[str, Any] | None = None,
    training: dict[str, Any] | None = None,
) -> Row:
    """A row of 003: a model, what is beside it, and its loss."""
    name, network, own = _MODELS[model]
    return Row(
        key or f"{model}-{loss}",
        name + beside,
        network,
        own | (options or {}),
        {"loss": _LOSSES[loss]} | (training or {}),
        _SPIDER(scores),
        topology=name,
    )


_TWO_CLASSES = {
    "unet": {
        "bce": "0.8874 0.9718 0.9402 0.9366 0.9384",
        "dice": "0.8822 0.9694 0.9242 0.9474 0.9353",
        "focal": "0.8788 0.9694 0.9347 0.9318 0.9332",
        "bce-dice": "0.8818 0.9702 0.9359 0.9342 0.9351",
    },
    "resunet": {
        "bce": "0.8797 0.9692 0.9295 0.9383 0.9338",
        "dice": "0.8803 0.9696 0.9325 0.9358 0.9341",
        "focal": "0.8711 0.9667 0.9232 0.9342 0.9286",
        "bce-dice": "0.8791 0.9693 0.9331 0.9338 0.9334",
    },
    "attention": {
        "bce": "0.8739 0.9679 0.9305 0.9300 0.9303",
        "dice": "0.8798 0.9690 0.9255 0.9428 0.9339",
        "focal": "0.8707 0.9667 0.9240 0.9327 0.9283",
        "bce-dice": "0.8796 0.9696 0.9363 0.9311 0.9337",
    },
    "transunet": {
        "bce": "0.8842 0.9709 0.9381 0.9349 0.9365",
        "dice": "0.8852 0.9706 0.9307 0.9438 0.9371",
        "focal": "0.8781 0.9689 0.9311 0.9346 0.9328",
        "bce-dice": "0.8844 0.9707 0.9350 0.9383 0.9366",
    },
    "proposed": {
        "bce": "0.8849 0.9715 0.9450 0.9291 0.9369",
        "dice": "0.8974 0.9742 0.9417 0.9470 0.9444",
        "focal": "0.8716 0.9677 0.9350 0.9228 0.9288",
        "bce-dice": "0.8928 0.9733 0.9448 0.9384 0.9416",
    },
}
_FOUR_CLASSES = {
    "unet": "0.8328 0.9710 0.9146 0.8983 0.9063",
    "resunet": "0.8229 0.9690 0.9000 0.9005 0.9001",
    "attention": "0.8292 0.9700 0.8943 0.9145 0.9041",
    "transunet": "0.8301 0.9703 0.9030 0.9064 0.9047",
    "proposed": "0.8425 0.9726 0.9170 0.9080 0.9124",
}
_RUNS = (
    "0.8891 0.9722 0.9415 0.9373 0.9394",
    "0.8905 0.9726 0.9413 0.9391 0.9402",
    "0.8906 0.9728 0.9457 0.9350 0.9403",
    "0.8880 0.9724 0.9480 0.9300 0.9387",
    "0.8869 0.9721 0.9487 0.9281 0.9381",
    "0.8895 0.9729 0.9515 0.9285 0.9396",
    "0.8899 0.9728 0.9478 0.9323 0.9399",
    "0.8896 0.9724 0.9425 0.9370 0.9397",
    "0.8875 0.9722 0.9479 0.9295 0.9384",
    "0.8895 0.9721 0.9381 0.9413 0.9397",
)
_DUAL = "InceptionDualUNet"
_LUMBAR = (
    Table(
        "003.2",
        "losses, background and foreground",
        _DUAL,
        "2d",
        2,
        tuple(
            _on_2d(model, loss, scores, beside=f", {_NAMES[loss]}")
            for model, of_losses in _TWO_CLASSES.items()
            for loss, scores in of_losses.items()
        ),
        note="Behind a softmax over two classes BCE is cross-entropy, and is trained as that.",
    ),
    Table(
        "003.3",
        "Inception stem and second output",
        _DUAL,
        "2d",
        2,
        (
            _on_2d("unet", "dice", _TWO_CLASSES["unet"]["dice"], key="unet"),
            _on_2d(
                "unet",
                "dice",
                "0.8941 0.9732 0.9382 0.9468 0.9424",
                beside=" + Inception module",
                key="inception",
                options={"stem": "inception"},
            ),
            _on_2d(
                "unet",
                "dice",
                "0.8716 0.9669 0.9240 0.9340 0.9289",
                beside=" + Dual-Output mechanism",
                key="dual",
                options={"auxiliary": True},
            ),
            _on_2d("proposed", "dice", _TWO_CLASSES["proposed"]["dice"], key="proposed"),
        ),
        note="Ten further runs of the proposed model (003.7) have a mean mIoU of 0.8892, sd 0.0012.",
    ),
    Table(
        "003.4",
        "attention on the skips",
        _DUAL,
        "2d",
        2,
        tuple(
            _on_2d(
                model,
                loss,
                scores or _TWO_CLASSES[model][loss],
                beside=f" + {block.upper()}" if block else "",
                key=f"{model}-{block}" if block else model,
                options={"skip": block} if block else None,
            )
            for model, block, loss, scores in (
                ("unet", "", "bce", ""),
                ("unet", "sam", "bce", "0.8797 0.9694 0.9324 0.9352 0.9338"),
                ("unet", "cbam", "bce", "0.8792 0.9698 0.9398 0.9274 0.9335"),
                ("resunet", "", "dice", ""),
                ("resunet", "sam", "bce-dice", "0.8785 0.9691 0.9323 0.9339 0.9331"),
                ("resunet", "cbam", "dice", "0.8739 0.9672 0.9213 0.9399 0.9303"),
                ("proposed", "", "dice", ""),
                ("proposed", "se", "bce-dice", "0.8893 0.9726 0.9474 0.9321 0.9395"),
                ("proposed", "sam", "bce-dice", "0.8865 0.9716 0.9416 0.9342 0.9379"),
                ("proposed", "cbam", "dice", "0.8816 0.9698 0.9312 0.9388 0.9349"),
            )
        ),
        note="Every row has the loss that was best for it, so rows differ by more than the attention.",
    ),
    Table(
        "003.5",
        "augmentation",
        _DUAL,
        "2d",
        2,
        tuple(
            _on_2d(
                "proposed",
                "dice",
                scores,
                beside=beside,
                key=key,
                training={"augmentation": augmentation},
            )
            for key, beside, augmentation, scores in (
                ("none", "", "none", _TWO_CLASSES["proposed"]["dice"]),
                (
                    "augmented",
                    " + Data Augmentation",
                    "nnunet",
                    "0.8667 0.9647 0.9127 0.9404 0.9259",
                ),
            )
        ),
        note="The paper rotates, shifts, zooms and flips; the row has nnU-Net's augmentation.",
    ),
    Table(
        "003.6",
        "proposed model and what it is compared with",
        _DUAL,
        "2d",
        2,
        tuple(
            _on_2d(model, "dice", losses["dice"], key=model)
            for model, losses in _TWO_CLASSES.items()
        ),
    ),
    Table(
        "003.7",
        "ten runs of the proposed model",
        _DUAL,
        "2d",
        2,
        tuple(
            _on_2d("proposed", "dice", scores, beside=f", run {i}", key=f"run{i}")
            for i, scores in enumerate(_RUNS, 1)
        ),
        note="The rows are alike: nnU-Net draws weights and batches anew in each training.",
    ),
    Table(
        "003.9",
        "losses, background, vertebrae, discs and canal",
        _DUAL,
        "2d",
        4,
        tuple(
            _on_2d(
                model,
                loss,
                scores if loss == "bce-dice" else "",
                beside=f", {_NAMES[loss].replace('BCE', 'CCE')}",
                key=f"{model}-{loss.replace('bce', 'cce')}",
            )
            for model, scores in _FOUR_CLASSES.items()
            for loss in _LOSSES
        ),
        note="Twenty models were trained; the paper prints those with cross-entropy and Dice.",
    ),
)

# 004: lumbar MRI, slices; percent, mean of five folds

_CSIG = partial(_scores, "MIoU MIoU.sd DSC DSC.sd")
_BY_CLASS = partial(_scores, "DSC DSC.sd MIoU MIoU.sd Params")
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
_SAGITTAL = (
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
                published=_CSIG(scores),
                topology="ours",
            )
            for places, scores in (
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
            _compared(
                "unet2d", "U-Net-2D", "ModularUNet", _BY_CLASS("79.94 2.65 67.34 2.26 15.08")
            ),
            _compared("segnet", "SegNet", "SegNet", _BY_CLASS("79.98 2.01 67.26 2.06 15.21")),
            _compared(
                "deeplab", "DeepLabV3", "DeepLabV3", _BY_CLASS("82.96 2.41 71.84 2.24 46.9"), "2d"
            ),
            _compared(
                "unet3d",
                "U-Net-3D",
                "ModularUNet",
                _BY_CLASS("84.81 2.36 74.93 2.08 31.03"),
                "3d_fullres",
            ),
            replace(
                _compared(
                    "nnunet2d", "nnU-Net-2D", "ModularUNet", _BY_CLASS("85.34 2.04 74.83 1.93 60.5")
                ),
                training=_NNUNET,
                note="nnU-Net's own procedure",
            ),
            _compared("aspp", "ours", "ASPPUNet", _BY_CLASS("86.60 2.19 75.49 1.98 22.06")),
        ),
        note="Mean over the eight bones; parameters are Table 4's.",
    ),
)

TABLES: tuple[Table, ...] = (*_SIJ_CT, _FAT, *_LUMBAR, *_SAGITTAL)
