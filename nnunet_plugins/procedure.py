"""The training procedure as data: the optional ``training`` entry of a plans configuration.

It travels in the model folder's plans.json, so a model tells how it was trained. What the entry does not
name stays as nnU-Net has it.
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


def _weights(value: Any) -> bool:
    if not isinstance(value, dict) or not value or set(value) - {"dice", "ce"}:
        return False
    return all(_number(0)(w) for w in value.values()) and any(value.values())


def _axes(value: Any) -> bool:
    whole = isinstance(value, (list, tuple)) and all(_integer(0)(v) and v <= 2 for v in value)
    return whole and len(set(value)) == len(value)  # prediction flips no axis twice


OPTIMIZERS = ("SGD", "Adam", "AdamW")
SCHEDULES = ("poly", "constant")
AUGMENTATIONS = ("nnunet", "none")

#: Key -> (test, what is allowed). 'ce' is binary cross-entropy where a dataset has regions.
KEYS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "epochs": (_integer(1), "a whole number of 1 or more"),
    "iterations_per_epoch": (_integer(1), "a whole number of 1 or more"),
    "validation_iterations_per_epoch": (_integer(1), "a whole number of 1 or more"),
    "initial_lr": (_number(0, above=True), "a number above 0"),
    "lr_schedule": (_one_of(*SCHEDULES), " or ".join(SCHEDULES)),
    "weight_decay": (_number(0), "a number of 0 or more"),
    "optimizer": (_one_of(*OPTIMIZERS), " or ".join(OPTIMIZERS)),
    "loss": (_weights, '{"dice": weight, "ce": weight}, weights of 0 or more, not all 0'),
    "oversample_foreground": (_number(0, 1), "a share from 0 to 1"),
    "mirror_axes": (_axes, "a list of axes of the patch, 0 to 2, each once; [] for none"),
    "augmentation": (_one_of(*AUGMENTATIONS), " or ".join(AUGMENTATIONS)),
    "deep_supervision": (lambda v: isinstance(v, bool), "true or false"),
    "save_every": (_integer(1), "a whole number of epochs, 1 or more"),
}

_PAPER = {
    "epochs": 300,
    "optimizer": "Adam",
    "initial_lr": 1e-4,
    "lr_schedule": "constant",
    "weight_decay": 1e-4,
}
#: The papers' own procedures, and the batch size that goes with them.
PAPER_BATCH_SIZE = 1
PAPER_RECIPES: dict[str, dict[str, Any]] = {
    "SEUNet": {**_PAPER, "loss": {"dice": 1.0, "ce": 0.0}},
    "MAGUNet": {**_PAPER, "loss": {"dice": 1.0, "ce": 1.0}},
}


def read_procedure(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The checked ``training`` entry of a plans configuration; {} if it has none.

    Raises:
        UserError: on an unknown key (with the known ones) or a value that is not allowed.
    """
    entry = configuration.get("training", {})
    if not isinstance(entry, dict):
        raise UserError(
            f"plans: training is {entry!r}; an object with keys {', '.join(KEYS)} is wanted"
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
    return dict(entry)
