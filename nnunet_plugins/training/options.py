"""Keys of the ``training`` entry that hold an object: pretrained, early_stopping, voxel_weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nnunet_plugins.training.checks import fields, integer, number, one_of

#: What is loaded: the encoder, everything except the heads, or everything.
WHAT = ("encoder", "all_but_heads", "all")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _digest(value: Any) -> bool:
    return isinstance(value, str) and bool(_DIGEST.fullmatch(value))


_source = fields(
    {"source": _text},
    {
        "checkpoint": _text,
        "what": one_of(*WHAT),
        "freeze_epochs": integer(0),
        "lr_factor": number(0, 1, above=True),
        "sha256": _digest,
        "trusted": _digest,
    },
)
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
    if not _source(value):
        return False
    apart = value.get("freeze_epochs", 0) or value.get("lr_factor", 1) != 1
    return not (value.get("what") == "all" and apart)


EARLY_STOPPING = (
    'an object with "patience", a number of epochs from 1 to epochs - 2, and if needed "min_epochs", below epochs; '
    "the training stops when the moving average of the pseudo-Dice has had no new best value for that long"
)
early_stopping = fields({"patience": integer(1)}, {"min_epochs": integer(1)})

VOXEL_WEIGHTS = (
    'an object with "distance" in mm and "weight", both above 0, at most 1e6: the weight in ce, bce and focal of '
    'voxels that are within the distance of another label, along the axes; or with "map": true: their weights are '
    "files of the dataset, in weightsTr; or with all three, whose weights are multiplied"
)
_part = number(0, 1e6, above=True)
_weights = fields({}, {"distance": _part, "weight": _part, "map": lambda v: v is True})


def voxel_weights(value: Any) -> bool:
    """Whether ``value`` states weights of voxels, near boundaries or from maps of the dataset.

    >>> voxel_weights({"distance": 2.0, "weight": 3}), voxel_weights({"distance": 2.0})
    (True, False)
    >>> voxel_weights({"map": True}), voxel_weights({"map": False})
    (True, False)
    """
    return _weights(value) and bool(value) and ("distance" in value) == ("weight" in value)


def has_map(training: Mapping[str, Any]) -> bool:
    """Whether a ``training`` entry weights voxels by maps of the dataset."""
    return bool(training.get("voxel_weights", {}).get("map"))
