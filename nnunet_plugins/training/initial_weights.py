"""Whether a training began with random or with pretrained weights, which nnU-Net does not record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import nn

InitialWeights = Literal["random", "pretrained"]


def digest_of(network: nn.Module) -> tuple[float, ...]:
    """The sum of every parameter, which differs after other weights were loaded."""
    return tuple(float(one.detach().cpu().double().sum()) for one in network.parameters())


def initial_weights(
    made_with: tuple[float, ...] | None, now: tuple[float, ...]
) -> InitialWeights | None:
    """Compare the weights that a network was made with and those before the first epoch.

    nnU-Net loads -pretrained_weights in between.

    >>> initial_weights((0.5, 1.0), (0.5, 2.0))
    'pretrained'
    """
    if made_with is None:
        return None
    return "random" if made_with == now else "pretrained"


def recorded_weights(debug: Path) -> InitialWeights | None:
    """What the debug.json of an interrupted training states; None if it does not."""
    try:
        found = json.loads(debug.read_text(encoding="utf-8")).get("initial_weights")
    except (OSError, ValueError, AttributeError):
        return None
    return found if found in ("random", "pretrained") else None
