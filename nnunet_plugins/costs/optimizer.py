"""Memory of the optimizers, in copies of the parameters; a test compares it with torch's own steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def copies(training: Mapping[str, Any], *, foreach: bool) -> tuple[int, int]:
    """Return how many copies of the parameters an optimizer keeps, and how many more it needs during a step.

    Args:
        training: the plans' ``training`` entry; default: nnU-Net's SGD.
        foreach: it updates all parameters at once, as torch does on CUDA; otherwise one after the other.

    Raises:
        ValueError: unknown optimizer.

    >>> copies({"optimizer": "Adam"}, foreach=True)
    (2, 1)
    """
    decayed = bool(training.get("weight_decay", True))
    match training.get("optimizer", "SGD"):
        case "SGD":
            momentum = bool(training.get("momentum", True))
            return int(momentum), int(decayed) if foreach else momentum + decayed
        case "Adam":  # keeps both moments; without foreach, weight decay copies the gradient
            return 2, 1 if foreach else 2 + decayed
        case "AdamW":  # decays the parameters in place
            return 2, 1 if foreach else 2
        case other:
            raise ValueError(f"training.optimizer is {other!r}; its memory is unknown")
