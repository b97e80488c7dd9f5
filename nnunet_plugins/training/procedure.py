"""The training procedure as data: the optional ``training`` entry of a plans configuration.

It travels in the model folder's plans.json, so a model tells how it was trained. What the entry does not
name stays as nnU-Net has it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
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
    whole = isinstance(value, (list, tuple)) and all(_integer(0)(v) and v <= 2 for v in value)
    return whole and len(set(value)) == len(value)  # prediction flips no axis twice


OPTIMIZERS = ("SGD", "Adam", "AdamW")
SCHEDULES = ("poly", "constant", "exponential")
AUGMENTATIONS = ("nnunet", "none")
WEIGHTED_OUTPUTS = ("auxiliary", "attention")
#: Term of the loss -> option -> test. 'ce' is binary cross-entropy where a dataset has regions; 'bce' is that of
#: each channel on its own for labels too. With gamma between 0 and 1 focal's gradient is infinite at p = 1.
LOSS_TERMS: dict[str, dict[str, Callable[[Any], bool]]] = {
    "dice": {},
    "ce": {},
    "bce": {},
    "focal": {"alpha": _number(0, 1), "gamma": _number(1)},
}

#: Key -> (test, what is allowed). lr_schedule sets the rate of epoch e = 0, 1, ...: 'exponential' is
#: initial_lr * lr_decay**e. lr_decay is read with it alone, momentum (Nesterov's where above 0) with SGD alone:
#: an entry may keep them when recipe, preset or user choose another schedule or optimizer.
KEYS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "epochs": (_integer(1), "a whole number of 1 or more"),
    "iterations_per_epoch": (_integer(1), "a whole number of 1 or more"),
    "validation_iterations_per_epoch": (_integer(1), "a whole number of 1 or more"),
    "initial_lr": (_number(0, above=True), "a number above 0"),
    "lr_schedule": (_one_of(*SCHEDULES), " or ".join(SCHEDULES)),
    "lr_decay": (_number(0, 1, above=True), "a factor an epoch, above 0, 1 at most"),
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
    "save_every": (_integer(1), "a whole number of epochs, 1 or more"),
}


@dataclass(frozen=True)
class Recipe:
    """The procedure that a paper trained its network with.

    An epoch of the papers is one pass over their own cases. Number of epochs and learning rate of each epoch
    are theirs; the iterations of an epoch stay nnU-Net's, as a pass over other cases is another number.
    Where a paper is silent on weight decay or momentum the value is its framework's default, 0.

    Attributes:
        training: entries of the ``training`` procedure.
        batch_size: samples a step.
        source: where it stands, and how what is unclear was read.
    """

    training: dict[str, Any]
    batch_size: int
    source: str


_SIJ_CT = {
    "epochs": 300,
    "optimizer": "Adam",
    "initial_lr": 1e-4,
    "lr_schedule": "constant",
    "weight_decay": 1e-4,
}
#: Network -> its paper's procedure.
PAPER_RECIPES: dict[str, Recipe] = {
    "SEUNet": Recipe(
        {**_SIJ_CT, "loss": {"dice": 1.0, "ce": 0.0}},
        batch_size=1,
        source="000, sections 3.1 and 3.5",
    ),
    "MAGUNet": Recipe(
        {**_SIJ_CT, "loss": {"dice": 1.0, "ce": 1.0}},
        batch_size=1,
        source="001, section 2.1, 3) and 5)",
    ),
    "AttentionUNet25D": Recipe(
        {
            "epochs": 400,
            "optimizer": "Adam",
            "initial_lr": 5e-4,
            "lr_schedule": "exponential",
            # Halved every 3,800 iterations, at the 39 of the paper's own epochs: 77 or 78 of 103 cases (four
            # folds) by twos. At 250 an epoch it would fall 2^26-fold instead of 17-fold in the 400 epochs.
            "lr_decay": 0.5 ** (39 / 3800),
            "weight_decay": 0.0,
            "loss": {"dice": 1.0, "ce": 1.0},
            "output_weights": {"attention": 0.2},
        },
        batch_size=2,
        source="002, 'Model development'; the weight 0.2 is the authors' code's, which cuts three crops from "
        "each of the batch's two cases: a batch of 6 is its step",
    ),
    "InceptionDualUNet": Recipe(
        {
            "epochs": 50,
            "optimizer": "Adam",
            "initial_lr": 1e-4,
            "lr_schedule": "constant",
            "weight_decay": 0.0,
            "loss": {"dice": 1.0},
            "output_weights": {"auxiliary": 1.0},
            "augmentation": "none",
        },
        batch_size=2,
        source="003, 'Parameter optimization'; Dice is its best loss, augmentation made it worse (Table 5); "
        "the weight of the bottleneck's output is not printed",
    ),
    "ASPPUNet": Recipe(
        {
            "epochs": 50,
            "optimizer": "SGD",
            "initial_lr": 0.01,
            "lr_schedule": "exponential",
            "lr_decay": 0.99,
            "momentum": 0.0,
            "weight_decay": 0.0,
            "loss": {"ce": 1.0},
            "augmentation": "none",
        },
        batch_size=2,
        source="004, sections 2.5 and 2.7, eq. 1 and 4; its 'training batch', of which there are 50, is an epoch",
    ),
}


def read_procedure(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The checked ``training`` entry of a plans configuration; {} if it has none.

    Raises:
        UserError: on an unknown key (with the known ones), a value that is not allowed, or an exponential
            schedule without its factor.
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
    if entry.get("lr_schedule") == "exponential" and "lr_decay" not in entry:
        raise UserError(
            "plans: training.lr_schedule is 'exponential', which needs training.lr_decay: "
            f"{KEYS['lr_decay'][1]}"
        )
    return dict(entry)
