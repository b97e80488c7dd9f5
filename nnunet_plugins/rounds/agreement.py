"""How far two masks of one case agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnunet_plugins.evaluation.labels import Labels
from nnunet_plugins.evaluation.overlap import counts_of, encode, joint_counts, overlap


@dataclass(frozen=True)
class Agreement:
    """Agreement of two masks.

    Attributes:
        changed: number of voxels with another value.
        dice: label -> Dice; None for a label that is in neither mask.
        mean: of the labels that are in either mask; None if both masks are empty.
    """

    changed: int
    dice: dict[str, float | None]
    mean: float | None


def agreement(first: NDArray[Any], second: NDArray[Any], labels: Labels) -> Agreement:
    """Compare two label maps on one grid; voxels with the ignore label in either are left out.

    Args:
        first: (*S), integers from 0.
        second: likewise.
        labels: their labels.

    >>> labels = Labels({"bone": (1,), "disc": (2,)}, None, "")
    >>> found = agreement(np.array([1, 1, 0, 0]), np.array([1, 0, 0, 0]), labels)
    >>> found.changed, round(found.dice["bone"], 3), found.dice["disc"], round(found.mean, 3)
    (1, 0.667, None, 0.667)
    """
    values = sorted(labels.known)
    joint = joint_counts(encode(first, values), encode(second, values), len(values) + 1)
    joint = joint[: len(values), : len(values)]  # the last code is the ignore label
    dice = {
        name: overlap(counts_of(joint, [values.index(value) for value in of_label]))["dice"]
        for name, of_label in labels.values.items()
    }
    known = [value for value in dice.values() if value is not None]
    return Agreement(
        int(np.count_nonzero(first != second)), dice, sum(known) / len(known) if known else None
    )
