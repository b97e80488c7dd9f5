"""nnU-Net's postprocessing, kept only where it helps: all but the largest component of a label is removed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Dice = Mapping[str, float | None]


@dataclass(frozen=True)
class Step:
    """One try.

    Attributes:
        name: of the label, or FOREGROUND.
        values: label values whose union keeps its largest component.
        before: mean Dice before it, over all labels or of the label.
        after: likewise.
        kept: whether it is applied.
    """

    name: str
    values: tuple[int, ...]
    before: float | None
    after: float | None
    kept: bool


FOREGROUND = "all foreground"


def keep_largest(
    labels: NDArray[np.integer], steps: Sequence[tuple[int, ...]]
) -> NDArray[np.integer]:
    """Apply steps to a label map (z, y, x) in their order, with nnU-Net's function.

    >>> keep_largest(np.array([[[1, 1, 0, 1]]], np.uint8), [(1,)])
    array([[[1, 1, 0, 0]]], dtype=uint8)
    """
    from nnunetv2.postprocessing.remove_connected_components import (
        remove_all_but_largest_component_from_segmentation,
    )

    for values in steps:
        labels = remove_all_but_largest_component_from_segmentation(labels, [tuple(values)])
    return labels


def determine(
    labels: Mapping[str, tuple[int, ...]], score: Callable[[Sequence[tuple[int, ...]]], Dice]
) -> list[Step]:
    """Try each step as nnU-Net's determine_postprocessing does.

    First the union of all labels: it is kept if the mean Dice rises and that of no label falls. Then each label, on
    top of the steps kept so far: it is kept if the label's own Dice rises.

    Args:
        labels: name -> values.
        score: mean Dice of each label over the validation cases after some steps.
    """
    foreground = tuple(sorted(set().union(*labels.values())))
    current, kept = score([]), list[tuple[int, ...]]()
    tried = score([foreground])
    before, after = mean(current), mean(tried)
    fell = any((tried[one] or 0) < (current[one] or 0) for one in labels)
    steps = [Step(FOREGROUND, foreground, before, after, _rises(before, after) and not fell)]
    if steps[0].kept:
        current, kept = tried, [foreground]
    for name, values in labels.items() if len(labels) > 1 else ():
        tried = score([*kept, values])
        step = Step(name, values, current[name], tried[name], _rises(current[name], tried[name]))
        if step.kept:
            current, kept = tried, [*kept, values]
        steps.append(step)
    return steps


def mean(dice: Dice) -> float | None:
    """Mean over the labels that have a value.

    >>> mean({"bone": 0.5, "disc": 1.0, "cyst": None})
    0.75
    """
    known = [value for value in dice.values() if value is not None]
    return sum(known) / len(known) if known else None


def _rises(before: float | None, after: float | None) -> bool:
    return before is not None and after is not None and after > before
