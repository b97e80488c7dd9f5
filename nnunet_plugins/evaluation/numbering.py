"""Whether vertebrae have the right numbers.

A prediction that is shifted by one level finds every vertebra and names none correctly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnunet_plugins.evaluation.matching import Overlaps


@dataclass(frozen=True)
class Numbering:
    """Whether the instances of a group have the right numbers.

    Attributes:
        offset: predicted minus true position, if it is the same for all matches, at least two, and not 0.
        dice: mean Dice of the group's labels that are in either label map; None if one is empty.
        best_offset: the offset that is subtracted from the predicted positions for ``shifted_dice``.
        shifted_dice: the largest mean Dice at any offset. Numbers that leave the group are not counted.
    """

    offset: int | None
    dice: float | None
    best_offset: int
    shifted_dice: float | None


def numbering(overlaps: Overlaps, offsets: Sequence[int], values: int) -> Numbering:
    """Find a constant error in the numbers of a group of labels.

    Args:
        overlaps: of the labels, numbered by their position from 1.
        offsets: predicted minus true position of each pair that matches.
        values: number of values in the group.
    """
    same = len(offsets) > 1 and len(set(offsets)) == 1 and offsets[0] != 0
    predicted, true = (_padded(sizes, values) for sizes in (overlaps.predicted, overlaps.true))
    if not (predicted.any() and true.any()):
        return Numbering(None, None, 0, None)
    joint = np.zeros((values, values), dtype=np.int64)
    joint[overlaps.first - 1, overlaps.second - 1] = overlaps.common
    dice = {
        offset: _dice_at(offset, joint, predicted, true)
        for offset in sorted(range(1 - values, values), key=abs)
    }
    best = max(dice, key=dice.__getitem__)
    return Numbering(offsets[0] if same else None, dice[0], best, dice[best])


def _padded(sizes: NDArray[Any], values: int) -> NDArray[Any]:
    return np.pad(sizes[1:], (0, values + 1 - len(sizes)))


def _dice_at(
    offset: int, joint: NDArray[Any], predicted: NDArray[Any], true: NDArray[Any]
) -> float:
    values = len(true)
    moved, common = np.zeros_like(true), np.zeros_like(true)
    kept = slice(max(0, -offset), values - max(0, offset))
    moved[kept] = predicted[max(0, offset) : values + min(0, offset)]
    common[kept] = np.diagonal(joint, -offset)
    size = moved + true
    return float(np.mean(2 * common[size > 0] / size[size > 0]))
