"""Inception U-Net with dual output (silveira2025-inception-dual): lumbar MRI (SPIDER), central slices.

Scores range from 0 to 1. Behind a softmax over two classes binary cross-entropy is cross-entropy.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from nnunet_plugins.papers.paper import Paper
from nnunet_plugins.papers.recipes.silveira2025_inception_dual import AUGMENTED, RECIPE
from nnunet_plugins.papers.tables import CASES, POOLED, Column, Footnote, Row, Table, scores
from nnunet_plugins.papers.topologies import POOLED as MAX_POOLED
from nnunet_plugins.papers.topologies import Topology, plan_arguments

_KEY = "silveira2025-inception-dual"
_DUAL = "InceptionDualUNet"
_MEASURED = {
    "mIoU": Column(POOLED, "iou", 1.0),
    "Accuracy": Column("voxel_accuracy", factor=1.0),
    "Precision": Column(POOLED, "precision", 1.0),
    "Recall": Column(POOLED, "recall", 1.0),
    "F1": Column(POOLED, "dice", 1.0),
    "HD px": Column(CASES, "hd_px", 1.0),
    "ASSD px": Column(CASES, "assd_px", 1.0),
}
_table = partial(Table, _KEY, network=_DUAL, configuration="2d", classes=2, measured=_MEASURED)
_scores = partial(scores, "mIoU Accuracy Precision Recall F1")

_LOSSES: dict[str, dict[str, Any]] = {
    "bce": {"ce": 1.0},
    "dice": {"dice": 1.0},
    "focal": {"focal": {"weight": 1.0, "alpha": 0.5, "gamma": 2.0}},
    "bce-dice": {"dice": 1.0, "ce": 1.0},
}
_LOSS_NAMES = {"bce": "BCE", "dice": "Dice", "focal": "Focal", "bce-dice": "BCE-Dice"}
_TRANSFORMER = {"bottleneck_kwargs": {"depth": 1, "heads": 8, "head_dim": 64, "hidden": 128}}
#: Key -> name, network, options that differ from the network's defaults.
_MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "unet": ("U-Net", "ModularUNet", {}),
    "resunet": ("ResUNet", "ResUNet", {}),
    "attention": ("Attention U-Net", "AttentionUNet", {"skip_kwargs": {"reduction": 1}}),
    "transunet": ("TransUNet", "TransUNet", _TRANSFORMER),
    "proposed": ("Proposed Model", _DUAL, {}),
}


def _row(
    model: str,
    loss: str,
    printed: str = "",
    *,
    suffix: str = "",
    key: str = "",
    options: dict[str, Any] | None = None,
    training: dict[str, Any] | None = None,
    **more: Any,
) -> Row:
    """A model with a loss; ``suffix`` completes its name. Scores default to those of Table 2."""
    name, network, own = _MODELS[model]
    return Row(
        key or f"{model}-{loss}",
        name + suffix,
        network,
        own | (options or {}),
        {"loss": _LOSSES[loss]} | (training or {}),
        _scores(printed or _TWO_CLASSES[model][loss]),
        topology=name,
        **more,
    )


_TWO_CLASSES = {
    "unet": {
        "bce": "0.8874 0.9718 0.9402 0.9366 0.9384", "dice": "0.8822 0.9694 0.9242 0.9474 0.9353",
        "focal": "0.8788 0.9694 0.9347 0.9318 0.9332", "bce-dice": "0.8818 0.9702 0.9359 0.9342 0.9351",
    },
    "resunet": {
        "bce": "0.8797 0.9692 0.9295 0.9383 0.9338", "dice": "0.8803 0.9696 0.9325 0.9358 0.9341",
        "focal": "0.8711 0.9667 0.9232 0.9342 0.9286", "bce-dice": "0.8791 0.9693 0.9331 0.9338 0.9334",
    },
    "attention": {
        "bce": "0.8739 0.9679 0.9305 0.9300 0.9303", "dice": "0.8798 0.9690 0.9255 0.9428 0.9339",
        "focal": "0.8707 0.9667 0.9240 0.9327 0.9283", "bce-dice": "0.8796 0.9696 0.9363 0.9311 0.9337",
    },
    "transunet": {
        "bce": "0.8842 0.9709 0.9381 0.9349 0.9365", "dice": "0.8852 0.9706 0.9307 0.9438 0.9371",
        "focal": "0.8781 0.9689 0.9311 0.9346 0.9328", "bce-dice": "0.8844 0.9707 0.9350 0.9383 0.9366",
    },
    "proposed": {
        "bce": "0.8849 0.9715 0.9450 0.9291 0.9369", "dice": "0.8974 0.9742 0.9417 0.9470 0.9444",
        "focal": "0.8716 0.9677 0.9350 0.9228 0.9288", "bce-dice": "0.8928 0.9733 0.9448 0.9384 0.9416",
    },
}  # fmt: skip
_FOUR_CLASSES = {
    "unet": "0.8328 0.9710 0.9146 0.8983 0.9063",
    "resunet": "0.8229 0.9690 0.9000 0.9005 0.9001",
    "attention": "0.8292 0.9700 0.8943 0.9145 0.9041",
    "transunet": "0.8301 0.9703 0.9030 0.9064 0.9047",
    "proposed": "0.8425 0.9726 0.9170 0.9080 0.9124",
}
_RUNS = (
    "0.8891 0.9722 0.9415 0.9373 0.9394", "0.8905 0.9726 0.9413 0.9391 0.9402",
    "0.8906 0.9728 0.9457 0.9350 0.9403", "0.8880 0.9724 0.9480 0.9300 0.9387",
    "0.8869 0.9721 0.9487 0.9281 0.9381", "0.8895 0.9729 0.9515 0.9285 0.9396",
    "0.8899 0.9728 0.9478 0.9323 0.9399", "0.8896 0.9724 0.9425 0.9370 0.9397",
    "0.8875 0.9722 0.9479 0.9295 0.9384", "0.8895 0.9721 0.9381 0.9413 0.9397",
)  # fmt: skip


def _headline(row: str) -> Footnote:
    return Footnote(
        "0.8974 is more than 6 standard deviations above the mean of the paper's own ten runs of this model, "
        "0.8892 ± 0.0012 (Table 7).",
        ((row, "mIoU"),),
    )


_TABLES = (
    _table(
        2,
        "losses, background and foreground",
        rows=tuple(_row(model, loss, suffix=f", {_LOSS_NAMES[loss]}") for model in _TWO_CLASSES for loss in _LOSSES),
        footnotes=(
            _headline("proposed-dice"),
            Footnote("BCE is trained as cross-entropy: behind a softmax over two classes they are the same."),
        ),
    ),
    _table(
        3,
        "Inception stem and second output",
        rows=(
            _row("unet", "dice", key="unet"),
            _row(
                "unet", "dice", "0.8941 0.9732 0.9382 0.9468 0.9424", suffix=" + Inception module", key="inception",
                options={"stem": "inception"},
            ),
            _row(
                "unet", "dice", "0.8716 0.9669 0.9240 0.9340 0.9289", suffix=" + Dual-Output mechanism", key="dual",
                options={"auxiliary": True},
            ),
            _row("proposed", "dice", key="proposed"),
        ),
        footnotes=(_headline("proposed"),),
    ),
    _table(
        4,
        "attention on the skips",
        rows=tuple(
            _row(
                model, loss, printed, suffix=f" + {block.upper()}" if block else "",
                key=f"{model}-{block}" if block else model, options={"skip": block} if block else None,
            )
            for model, block, loss, printed in (
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
        footnotes=(
            _headline("proposed"),
            Footnote("Every row uses the loss that was best for it, so rows differ by more than the attention."),
            Footnote(
                "The text calls 0.9474 the highest precision of all models; five of the ten runs without SE have "
                "more (Table 7).",
                (("proposed-se", "Precision"),),
            ),
        ),
    ),
    _table(
        5,
        "augmentation",
        rows=(
            _row("proposed", "dice", key="none", training={"augmentation": "none"}),
            _row(
                "proposed", "dice", "0.8667 0.9647 0.9127 0.9404 0.9259", suffix=" + Data Augmentation",
                key="augmented", training=AUGMENTED,
            ),
        ),
        footnotes=(
            _headline("none"),
            Footnote("The ranges of rotation, shift and zoom are not printed; the row uses 10 degrees and 10 %."),
        ),
    ),
    _table(
        6,
        "proposed model compared with other networks",
        rows=tuple(
            _row(
                model, "dice", key=model, further={"HD px": 8.5621, "ASSD px": 0.7059} if model == "proposed" else {},
            )
            for model in _TWO_CLASSES
        ),
        footnotes=(
            _headline("proposed"),
            Footnote(
                "The gains over U-Net in the text are relative for mIoU (1.72 %) and F1 (0.97 %), and points for "
                "accuracy (0.48 %) and precision (1.75 %). In points, mIoU gains 1.52 and F1 0.91.",
                tuple(("proposed", name) for name in ("mIoU", "Accuracy", "Precision", "F1")),
            ),
            Footnote(
                "The text calls Dice the best loss of all models; U-Net has 0.8874 with BCE (Table 2). The gain in "
                "mIoU is then 1.00 points, and 0.18 for the printed mean of the ten runs.",
                (("unet", "mIoU"),),
            ),
        ),
    ),
    _table(
        7,
        "ten runs of the proposed model",
        rows=tuple(
            _row("proposed", "dice", printed, suffix=f", run {i}", key=f"run{i}")
            for i, printed in enumerate(_RUNS, 1)
        ),
        footnotes=(
            Footnote("The rows are identical: nnU-Net draws new weights and batches in each training."),
            Footnote(
                "The data split is fixed according to the text of the table; according to the section on the data "
                "the validation set is drawn again in each run."
            ),
        ),
    ),
    _table(
        9,
        "losses, background, vertebrae, discs and canal",
        classes=4,
        rows=tuple(
            Row(
                f"{model}-{loss.replace('bce', 'cce')}",
                f"{_MODELS[model][0]}, {_LOSS_NAMES[loss].replace('BCE', 'CCE')}",
                _MODELS[model][1],
                _MODELS[model][2],
                {"loss": _LOSSES[loss]},
                _scores(printed if loss == "bce-dice" else ""),
                topology=_MODELS[model][0],
            )
            for model, printed in _FOUR_CLASSES.items()
            for loss in _LOSSES
        ),
        footnotes=(Footnote("Twenty models were trained; the paper prints those with cross-entropy and Dice."),),
    ),
)  # fmt: skip


_READ = (
    "Convolution, ReLU, normalisation in this order, and dropout of 0.5 after both convolutions of the bottleneck, "
    "as printed. 'The deeper layers of the encoder' also have dropout: read as after each convolution of the two "
    "stages above the bottleneck."
)
_SAME = "Nothing is printed on dropout and order: those of the proposed network, of which this is the base."


def _topology(
    name: str, network: str, convs: list[int], counts: tuple[int, int], note: str, **options: Any
) -> Topology:
    """A row of Table 8; ``counts`` are trainable and non-trainable parameters."""
    widths = (64, 128, 256, 512, 1024)
    dropout = {"nonlin_first": True, "dropout_per_stage": [0.0, 0.0, 0.5, 0.5, 0.5]}
    return Topology(
        name,
        network,
        plan_arguments(2, widths, convs, [2] * 4, **MAX_POOLED, **dropout, **options),
        {"total": sum(counts), "trainable": counts[0], "non_trainable": counts[1]},
        note,
        paper=_KEY,
        source="Table 8",
        configuration="2d",
        patch=(128, 128),
    )


PAPER = Paper(
    key=_KEY,
    number="003",
    title="Automated lumbar spine segmentation in MRI using an enhanced U-Net with inception module and "
    "dual-output mechanism",
    authors="Silveira, Girisha, Kundapur",
    year=2025,
    link="",
    network=_DUAL,
    recipe=RECIPE,
    topologies=(
        # Only 9,728 statistics: one of the bottleneck's two convolutions has no normalisation.
        _topology(
            "U-Net", "UNet", [2, 2, 2, 2, 1], (31_040_386, 9_728), _SAME, bottleneck="conv",
            bottleneck_kwargs={"dropout": 0.5},
        ),
        _topology("ResUNet", "ResUNet", [2] * 5, (32_443_970, 17_664), _SAME),
        _topology(
            "Attention U-Net", "AttentionUNet", [2] * 5, (31_741_638, 11_776), _SAME, skip_kwargs={"reduction": 1},
        ),
        _topology(
            "TransUNet", "TransUNet", [2, 2, 2, 2, 1], (23_969_282, 9_728),
            f"{_SAME} Of the transformer the count identifies only heads x key dimension = 512: 8 heads of 64 here.",
            **_TRANSFORMER,
        ),
        _topology("Proposed Model", _DUAL, [2] * 5, (31_463_140, 12_256), _READ),
    ),
    tables=_TABLES,
)  # fmt: skip
