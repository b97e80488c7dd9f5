"""The training procedure as data: the optional ``training`` entry of a plans configuration.

It is part of plans.json in the model folder, so a model documents how it was trained. Keys that are not set keep
nnU-Net's defaults.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from nnunet_plugins.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def _integer(least: int) -> Callable[[Any], bool]:
    return lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= least


def _number(
    least: float, most: float = sys.float_info.max, *, above: bool = False
) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return (least < value if above else least <= value) and value <= most

    return check


def _one_of(*names: str) -> Callable[[Any], bool]:
    return lambda v: v in names


def _term(name: str, value: Any) -> bool:
    if not isinstance(value, dict):
        return _number(0)(value)
    allowed = {"weight": _number(0), **LOSS_TERMS[name]}
    return (
        "weight" in value
        and not set(value) - set(allowed)
        and all(allowed[k](v) for k, v in value.items())
    )


def _loss(value: Any) -> bool:
    if not isinstance(value, dict) or set(value) - set(LOSS_TERMS):
        return False
    if not all(_term(name, term) for name, term in value.items()):
        return False
    return any(t["weight"] if isinstance(t, dict) else t for t in value.values())


def _output_weights(value: Any) -> bool:
    if not isinstance(value, dict) or not value or set(value) - set(WEIGHTED_OUTPUTS):
        return False
    return all(_number(0, above=True)(weight) for weight in value.values())


def _axes(value: Any) -> bool:
    valid = isinstance(value, (list, tuple)) and all(_integer(0)(v) and v <= 2 for v in value)
    return valid and len(set(value)) == len(value)  # each axis at most once


OPTIMIZERS = ("SGD", "Adam", "AdamW")
SCHEDULES = ("poly", "constant", "exponential")
AUGMENTATIONS = ("nnunet", "none")
WEIGHTED_OUTPUTS = ("auxiliary", "attention")
#: Term of the loss -> option -> test. 'ce' is binary cross-entropy for datasets with regions; 'bce' is binary
#: cross-entropy per channel for labels too. With gamma between 0 and 1 the gradient of focal is infinite at p = 1.
LOSS_TERMS: dict[str, dict[str, Callable[[Any], bool]]] = {
    "dice": {},
    "ce": {},
    "bce": {},
    "focal": {"alpha": _number(0, 1), "gamma": _number(1)},
}

#: Key -> (test, allowed values). lr_schedule sets the rate of epoch e = 0, 1, ...: 'exponential' is
#: initial_lr * lr_decay**e. lr_decay is only read with 'exponential', momentum (Nesterov if above 0) only with SGD:
#: an entry may keep them if recipe, preset or user choose another schedule or optimizer.
KEYS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "epochs": (_integer(1), "an integer of 1 or more"),
    "iterations_per_epoch": (_integer(1), "an integer of 1 or more"),
    "validation_iterations_per_epoch": (_integer(1), "an integer of 1 or more"),
    "initial_lr": (_number(0, above=True), "a number above 0"),
    "lr_schedule": (_one_of(*SCHEDULES), " or ".join(SCHEDULES)),
    "lr_decay": (_number(0, 1, above=True), "a factor per epoch, above 0, at most 1"),
    "weight_decay": (_number(0), "a number of 0 or more"),
    "optimizer": (_one_of(*OPTIMIZERS), " or ".join(OPTIMIZERS)),
    "momentum": (lambda v: _number(0)(v) and v < 1, "a number of 0 or more, below 1 (SGD's)"),
    "loss": (
        _loss,
        'an object of terms dice, ce, bce, focal; each a weight of 0 or more, not all 0, or {"weight": weight} '
        "with options; focal's: alpha from 0 to 1, gamma of 1 or more",
    ),
    "output_weights": (
        _output_weights,
        'an object of "auxiliary" and "attention", one or both, with weights above 0',
    ),
    "oversample_foreground": (_number(0, 1), "a share from 0 to 1"),
    "mirror_axes": (_axes, "a list of axes of the patch, 0 to 2, each once; [] for none"),
    "augmentation": (_one_of(*AUGMENTATIONS), " or ".join(AUGMENTATIONS)),
    "deep_supervision": (lambda v: isinstance(v, bool), "true or false"),
    "save_every": (_integer(1), "a number of epochs, an integer of 1 or more"),
    "seed": (lambda v: _integer(0)(v) and v < 2**32, "an integer from 0 to 4294967295"),
}


def read_procedure(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The validated ``training`` entry of a plans configuration; {} if it has none.

    >>> read_procedure({"training": {"epochs": 50, "optimizer": "Adam"}})
    {'epochs': 50, 'optimizer': 'Adam'}
    >>> read_procedure({"training": {"optimizer": "Lion"}})
    Traceback (most recent call last):
    nnunet_plugins.errors.UserError: plans: training.optimizer is 'Lion'; allowed: SGD or Adam or AdamW

    Raises:
        UserError: an unknown key, a value that is not allowed, or an exponential schedule without lr_decay.
    """
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
            raise UserError(f"plans: training.{key} is {value!r}; allowed: {description}")
    if entry.get("lr_schedule") == "exponential" and "lr_decay" not in entry:
        raise UserError(
            "plans: training.lr_schedule is 'exponential', which requires training.lr_decay: "
            f"{KEYS['lr_decay'][1]}"
        )
    return dict(entry)
