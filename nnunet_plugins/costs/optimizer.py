"""Memory of the optimisers, in copies of the parameters; a test holds it against torch's own steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def copies(training: Mapping[str, Any], *, foreach: bool) -> tuple[int, int]:
    """How many times the parameters an optimiser keeps, and how many it makes beside while it steps.

    Args:
        training: the plans' ``training`` entry; where it is silent, nnU-Net's SGD.
        foreach: it works on all parameters at once, as torch's do on CUDA ('foreach'), and in place where it
            can; else on one after the other.
    """
    decayed = bool(training.get("weight_decay", True))
    match training.get("optimizer", "SGD"):
        case "SGD":
            momentum = bool(training.get("momentum", True))
            return int(momentum), int(decayed) if foreach else momentum + decayed
        case "Adam":  # keeps both moments; on its own the decayed gradient is a copy
            return 2, 1 if foreach else 2 + decayed
        case "AdamW":  # decays the parameters in place
            return 2, 1 if foreach else 2
        case other:
            raise ValueError(f"training.optimizer is {other!r}; its memory is not known")
