"""Losses and pseudo-Dice by epoch from nnU-Net's training_log_*.txt; no checkpoint is loaded."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

_EPOCH = re.compile(r": Epoch (\d+)\s*$")
_LOSS = re.compile(r": (train|val)_loss (\S+)\s*$")
_DICE = re.compile(r": Pseudo dice \[(.*)\]\s*$")
_WRAPPED = re.compile(r"np\.float\d+\(([^)]*)\)")


@dataclass
class Curves:
    """One training, by epoch.

    Attributes:
        train: epoch -> training loss.
        val: epoch -> validation loss.
        dice: epoch -> nnU-Net's pseudo-Dice (on random patches), mean over the labels that have one.
    """

    train: dict[int, float] = field(default_factory=dict)
    val: dict[int, float] = field(default_factory=dict)
    dice: dict[int, float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.train or self.val or self.dice)


def read_curves(fold: Path) -> Curves:
    """Curves of the last training of a fold; one that was continued overwrites what it did again."""
    curves = Curves()
    epoch: int | None = None
    for log in sorted(fold.glob("training_log_*.txt")):
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            if found := _EPOCH.search(line):
                epoch = int(found[1])
                if epoch == 0:  # begun anew
                    curves = Curves()
            elif epoch is None:
                continue
            elif found := _LOSS.search(line):
                values = curves.train if found[1] == "train" else curves.val
                if (value := _number(found[2])) is not None:
                    values[epoch] = value
            elif found := _DICE.search(line):
                parts = [_number(one) for one in _WRAPPED.sub(r"\1", found[1]).split(",")]
                numbers = [one for one in parts if one is not None]
                if numbers:
                    curves.dice[epoch] = float(np.mean(numbers))
    return curves


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None
