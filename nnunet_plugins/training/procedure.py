"""The training procedure as data: the optional ``training`` entry of a plans configuration.

It is part of plans.json in the model folder, so a model documents how it was trained. Keys that are not set keep
nnU-Net's defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from nnunet_plugins.errors import UserError
from nnunet_plugins.training import options
from nnunet_plugins.training.augmentation import mirrors, problem
from nnunet_plugins.training.checks import (
    Check,
    axes,
    boolean,
    fields,
    integer,
    number,
    one_of,
    weight,
)


def _term(name: str, value: Any) -> bool:
    return weight(value) or fields({"weight": weight}, LOSS_TERMS[name])(value)


def _loss(value: Any) -> bool:
    if not isinstance(value, dict) or set(value) - set(LOSS_TERMS):
        return False
    if not all(_term(name, term) for name, term in value.items()):
        return False
    return any(map(_weight, value.values()))


def _weight(term: Any) -> float:
    return float(term["weight"] if isinstance(term, dict) else term)


def _classes(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and all(isinstance(name, str) and weight(one) for name, one in value.items())
    )


def _output_weights(value: Any) -> bool:
    some = fields({}, dict.fromkeys(WEIGHTED_OUTPUTS, number(0, 1e6, above=True)))
    return some(value) and bool(value)


OPTIMIZERS = ("SGD", "Adam", "AdamW")
SCHEDULES = ("poly", "constant", "exponential", "step")
AUGMENTATIONS = ("nnunet", "none")
WEIGHTED_OUTPUTS = ("auxiliary", "attention")
#: Term of the loss -> option -> test. With 'background' Dice averages over background and labels; regions have no
#: background. 'ce' is binary cross-entropy for datasets with regions; 'bce' is binary cross-entropy per channel for
#: labels too. With gamma between 0 and 1 the gradient of focal is infinite at p = 1.
LOSS_TERMS: dict[str, dict[str, Check]] = {
    "dice": {"background": boolean, "classes": _classes},
    "ce": {"classes": _classes},
    "bce": {"classes": _classes},
    "focal": {"alpha": number(0, 1), "gamma": number(1), "classes": _classes},
}

#: Key -> (test, allowed values). lr_schedule sets the rate of epoch e = 0, 1, ...: 'exponential' is
#: initial_lr * lr_decay**e; 'step' is initial_lr * lr_decay**(i // lr_step) for iteration i of the whole training.
#: lr_decay and lr_step are only read with these, momentum (Nesterov if above 0) only with SGD: an entry may keep them
#: if recipe, preset or user choose another schedule or optimizer. prediction_mirror_axes: of the axes that training
#: mirrors, those over whose mirror images a prediction is averaged; default: all of them.
KEYS: dict[str, tuple[Check, str]] = {
    "epochs": (integer(1), "an integer of 1 or more"),
    "iterations_per_epoch": (integer(1), "an integer of 1 or more"),
    "validation_iterations_per_epoch": (integer(1), "an integer of 1 or more"),
    "initial_lr": (number(0, 1e6, above=True), "a number above 0, at most 1e6"),
    "lr_schedule": (one_of(*SCHEDULES), " or ".join(SCHEDULES)),
    "lr_decay": (
        number(0, 1, above=True),
        "a factor per epoch, or per lr_step with schedule step, above 0, at most 1",
    ),
    "lr_step": (integer(1), "a number of iterations, an integer of 1 or more"),
    "weight_decay": (number(0, 1e6), "a number from 0 to 1e6"),
    "optimizer": (one_of(*OPTIMIZERS), " or ".join(OPTIMIZERS)),
    "momentum": (lambda v: number(0)(v) and v < 1, "a number of 0 or more, below 1 (SGD's)"),
    "loss": (
        _loss,
        'an object of terms dice, ce, bce, focal; each a weight from 0 to 1e6, not all 0, or {"weight": weight} '
        "with options; of each: classes, an object of labels and their weights from 0 to 1e6; dice's: background, "
        "true or false; focal's: alpha from 0 to 1, gamma of 1 or more",
    ),
    "output_weights": (
        _output_weights,
        'an object of "auxiliary" and "attention", one or both, with weights above 0, at most 1e6',
    ),
    "oversample_foreground": (number(0, 1), "a share from 0 to 1"),
    "mirror_axes": (axes, "a list of axes of the patch, 0 to 2, each once; [] for none"),
    "prediction_mirror_axes": (
        axes,
        "a list of axes of the patch, 0 to 2, each once; [] for none",
    ),
    "augmentation": (
        lambda v: v in AUGMENTATIONS or not problem(v),
        f'{" or ".join(AUGMENTATIONS)}, or an object of transforms, e.g. {{"flip": {{"p": 0.5}}}}',
    ),
    "deep_supervision": (boolean, "true or false"),
    "save_every": (integer(1), "a number of epochs, an integer of 1 or more"),
    "seed": (lambda v: integer(0)(v) and v < 2**32, "an integer from 0 to 4294967295"),
    "voxel_weights": (options.voxel_weights, options.VOXEL_WEIGHTS),
    "accumulate": (integer(1), "a number of parts of each batch, an integer of 1 or more"),
    "early_stopping": (options.early_stopping, options.EARLY_STOPPING),
    "pretrained": (options.pretrained, options.PRETRAINED),
}

#: Schedule -> keys that it requires.
_REQUIRED = {"exponential": ("lr_decay",), "step": ("lr_decay", "lr_step")}


def read_procedure(
    configuration: Mapping[str, Any], plans: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The validated ``training`` entry of a plans configuration; {} if it has none.

    Args:
        configuration: with what it inherits.
        plans: that hold it, in which a misplaced entry is searched too.

    >>> read_procedure({"training": {"epochs": 50, "optimizer": "Adam"}})
    {'epochs': 50, 'optimizer': 'Adam'}
    >>> read_procedure({"training": {"optimizer": "Lion"}})
    Traceback (most recent call last):
    nnunet_plugins.errors.UserError: plans: training.optimizer is 'Lion'; allowed: SGD or Adam or AdamW

    Raises:
        UserError: an unknown key, a value that is not allowed, a schedule without the keys that it requires, a
            combination without effect, or an entry that is misplaced or whose name is misspelt.
    """
    for keys, where in (
        (set(configuration) - {"training"}, "the configuration"),
        (configuration.get("architecture", ()), "the architecture"),
        (plans or (), "the top level"),
    ):
        if found := get_close_matches("training", keys, cutoff=0.75):
            raise UserError(
                f"plans: {where} has the key {found[0]!r}, which nothing reads; the procedure is the entry "
                "'training' of a configuration: move or rename it"
            )
    entry = configuration.get("training", {})
    if not isinstance(entry, dict):
        raise UserError(
            f"plans: training is {entry!r}; expected an object with keys {', '.join(KEYS)}"
        )
    unknown = sorted(set(entry) - set(KEYS))
    if unknown:
        raise UserError(
            f"plans: training has unknown keys {', '.join(map(repr, unknown))}; known: {', '.join(KEYS)}"
        )
    for key, value in entry.items():
        allowed, description = KEYS[key]
        if not allowed(value):
            more = f" ({problem(value)})" if key == "augmentation" and value else ""
            raise UserError(f"plans: training.{key} is {value!r}; allowed: {description}{more}")
    schedule = entry.get("lr_schedule", "poly")
    for key in _REQUIRED.get(schedule, ()):
        if key not in entry:
            raise UserError(
                f"plans: training.lr_schedule is {schedule!r}, which requires training.{key}: {KEYS[key][1]}"
            )
    _check_epochs(entry)
    chosen = entry.get("augmentation", "nnunet")
    if entry.get("mirror_axes") and not mirrors(chosen):
        raise UserError(
            f"plans: training.mirror_axes is {entry['mirror_axes']}, but training.augmentation {chosen} mirrors "
            'nothing; set mirror_axes to [], or augmentation to an object with {"flip": {"p": 0.5}}'
        )
    loss = entry.get("loss", {"ce": 1})
    if "voxel_weights" in entry and not any(_weight(loss[name]) for name in loss if name != "dice"):
        raise UserError(
            f"plans: training.voxel_weights has no effect on training.loss {loss}; it needs ce, bce or focal"
        )
    return dict(entry)


def _check_epochs(entry: Mapping[str, Any]) -> None:
    """Raise UserError if a number of epochs is never reached."""
    epochs = entry.get("epochs", 1000)  # nnU-Net's
    for key, part, most in (
        # The training stops before an epoch, and the first one may be the best.
        ("early_stopping", "patience", max(epochs - 2, 0)),
        ("early_stopping", "min_epochs", epochs - 1),
        ("pretrained", "freeze_epochs", epochs),
    ):
        value = entry.get(key, {}).get(part, 0)
        if value > most:
            raise UserError(
                f"plans: training.{key}.{part} is {value}, but there are {epochs} epochs; allowed: up to {most}, "
                "or more epochs"
            )
