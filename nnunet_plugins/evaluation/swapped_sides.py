"""Whether left and right are exchanged in a prediction: the Dice with exchanged sides is much higher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from dataset_conversion.errors import some
from dataset_conversion.io.label_sides import side_pairs
from nnunet_plugins.text_table import count

_HIGHER = 0.3  # by which the Dice with exchanged sides is much higher


@dataclass(frozen=True)
class SwappedSides:
    """Mean Dice of the labels that have a side in one case.

    Attributes:
        dice: as predicted.
        swapped: with the left and the right labels of the prediction exchanged.
    """

    dice: float
    swapped: float

    @property
    def suspicious(self) -> bool:
        """Whether the sides are most likely exchanged."""
        return self.swapped > self.dice + _HIGHER


def swapped_sides(joint: NDArray[Any], members: Mapping[str, Sequence[int]]) -> SwappedSides | None:
    """Return the Dice of one case with and without exchanged sides; None without labels of both sides.

    Args:
        joint: numbers of voxels by predicted and true code, see `joint_counts`.
        members: label -> its codes.

    >>> import numpy as np
    >>> swapped_sides(np.array([[9, 0, 0], [0, 0, 4], [0, 4, 0]]), {"left hip": [1], "right hip": [2]})
    SwappedSides(dice=0.0, swapped=1.0)
    """
    kept, exchanged = [], []
    for left, right in side_pairs(members):
        kept += _dices(joint, [(members[left], members[left]), (members[right], members[right])])
        exchanged += _dices(
            joint, [(members[left], members[right]), (members[right], members[left])]
        )
    if not kept or not exchanged:
        return None
    return SwappedSides(sum(kept) / len(kept), sum(exchanged) / len(exchanged))


def swapped_notes(cases: Mapping[str, SwappedSides | None]) -> list[str]:
    """Return the note on cases whose sides are most likely exchanged.

    >>> swapped_notes({"a": SwappedSides(0.1, 0.9), "b": SwappedSides(0.9, 0.1), "c": None})[0][:74]
    'left and right are most likely exchanged in 1 case: a; mean Dice of the si'
    """
    found = {name: one for name, one in cases.items() if one is not None and one.suspicious}
    if not found:
        return []
    kept, exchanged = (
        sum(getattr(one, name) for one in found.values()) / len(found)
        for name in ("dice", "swapped")
    )
    return [
        f"left and right are most likely exchanged in {count(len(found), 'case')}: "
        f"{some(sorted(found))}; mean Dice of the sided labels {kept:.3f}, with exchanged sides {exchanged:.3f}: "
        "check mirroring in training and the labels"
    ]


def _dices(
    joint: NDArray[Any], pairs: Sequence[tuple[Sequence[int], Sequence[int]]]
) -> list[float]:
    found = []
    for predicted, true in pairs:
        sizes = int(joint[list(predicted)].sum() + joint[:, list(true)].sum())
        if sizes:
            found.append(2 * int(joint[list(predicted)][:, list(true)].sum()) / sizes)
    return found
