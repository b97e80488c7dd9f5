"""Paper 003: lumbar MRI (SPIDER), central slices; scores from 0 to 1."""

from __future__ import annotations

from functools import partial
from typing import Any

from nnunet_plugins.papers.rows import Row, Table, scores

_SPIDER = partial(scores, "mIoU Accuracy Precision Recall F1")
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
    printed: str,
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
        _SPIDER(printed),
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
TABLES = (
    Table(
        "003.2",
        "losses, background and foreground",
        _DUAL,
        "2d",
        2,
        tuple(
            _on_2d(model, loss, printed, beside=f", {_NAMES[loss]}")
            for model, of_losses in _TWO_CLASSES.items()
            for loss, printed in of_losses.items()
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
                printed or _TWO_CLASSES[model][loss],
                beside=f" + {block.upper()}" if block else "",
                key=f"{model}-{block}" if block else model,
                options={"skip": block} if block else None,
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
                printed,
                beside=beside,
                key=key,
                training={"augmentation": augmentation},
            )
            for key, beside, augmentation, printed in (
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
            _on_2d("proposed", "dice", printed, beside=f", run {i}", key=f"run{i}")
            for i, printed in enumerate(_RUNS, 1)
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
                printed if loss == "bce-dice" else "",
                beside=f", {_NAMES[loss].replace('BCE', 'CCE')}",
                key=f"{model}-{loss.replace('bce', 'cce')}",
            )
            for model, printed in _FOUR_CLASSES.items()
            for loss in _LOSSES
        ),
        note="Twenty models were trained; the paper prints those with cross-entropy and Dice.",
    ),
)
