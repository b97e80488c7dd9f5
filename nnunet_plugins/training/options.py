"""Keys of the ``training`` entry that hold an object: pretrained, early_stopping, voxel_weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nnunet_plugins.training.checks import Check, integer, number, one_of

#: What is loaded: the encoder, everything except the heads, or everything.
WHAT = ("encoder", "all_but_heads", "all")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _digest(value: Any) -> bool:
    return isinstance(value, str) and bool(_DIGEST.fullmatch(value))


_PRETRAINED: dict[str, Check] = {
    "source": _text,
    "checkpoint": _text,
    "what": one_of(*WHAT),
    "freeze_epochs": integer(0),
    "lr_factor": number(0, 1, above=True),
    "sha256": _digest,
    "trusted": _digest,
}
PRETRAINED = (
    'an object with "source" (a model folder, checkpoint or zip) and, if needed, "checkpoint" (its path in the '
    f'folder or zip), "what" ({", ".join(WHAT)}), "freeze_epochs" (0 or more) and "lr_factor" (above 0, at most 1) '
    'of what is loaded; with "what": "all" neither freeze_epochs nor lr_factor, as nothing else would be trained: '
    "set initial_lr instead"
)


def pretrained(value: Any) -> bool:
    """Whether ``value`` states which weights a training starts with.

    >>> pretrained({"source": "model.zip", "what": "encoder", "freeze_epochs": 10})
    True
    >>> pretrained({"source": "model.zip", "what": "all", "freeze_epochs": 10})
    False
    """
    if not isinstance(value, Mapping) or "source" not in value or set(value) - set(_PRETRAINED):
        return False
    if not all(_PRETRAINED[key](one) for key, one in value.items()):
        return False
    apart = value.get("freeze_epochs", 0) or value.get("lr_factor", 1) != 1
    return not (value.get("what") == "all" and apart)


EARLY_STOPPING = (
    'an object with "patience", a number of epochs of 1 or more, and if needed "min_epochs", both below epochs; '
    "the training stops when the moving average of the pseudo-Dice has had no new best value for that long"
)


def early_stopping(value: Any) -> bool:
    """Whether ``value`` states when a training stops early.

    >>> early_stopping({"patience": 50, "min_epochs": 200}), early_stopping({"min_epochs": 200})
    (True, False)
    """
    return (
        isinstance(value, Mapping)
        and "patience" in value
        and not set(value) - {"patience", "min_epochs"}
        and all(integer(1)(one) for one in value.values())
    )


VOXEL_WEIGHTS = (
    'an object with "distance" in mm and "weight", both above 0, at most 1e6: the weight in ce, bce and focal of voxels '
    'that are within the distance of another label, along the axes; or with "map": true: their weights are files of '
    "the dataset, in weightsTr; or with all three, whose weights are multiplied"
)


def voxel_weights(value: Any) -> bool:
    """Whether ``value`` states weights of voxels, near boundaries or from maps of the dataset.

    >>> voxel_weights({"distance": 2.0, "weight": 3}), voxel_weights({"distance": 2.0})
    (True, False)
    >>> voxel_weights({"map": True}), voxel_weights({"map": False})
    (True, False)
    """
    if not isinstance(value, Mapping) or value.get("map", True) is not True:
        return False
    near = {key: one for key, one in value.items() if key != "map"}
    return bool(value) and (
        not near
        or (
            set(near) == {"distance", "weight"}
            and all(number(0, 1e6, above=True)(one) for one in near.values())
        )
    )
