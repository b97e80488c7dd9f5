"""Slices without any label between labelled ones: sparse annotation, or slices that were lost."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from dataset_conversion.cases.label_box import label_box
from dataset_conversion.io.orientation import slice_index
from dataset_conversion.labels import histogram

_LOST = 2  # slices: longest gap in a structure that is labelled on both sides of it
_FEWEST = 5  # labelled slices, below which a short gap may separate two lesions


def holes(mask: np.ndarray, spacing: Sequence[float]) -> str:
    """Describe the slices that a label map, or one of its labels, misses; "" if there are none.

    Regarded is the axis of the longest voxels, or every axis if all are alike. A gap counts if the
    same label is at the same place on both sides of it, and if every few slices only one is
    labelled, or if one or two slices are missing in a structure of at least five. Longer gaps may
    separate two structures and do not count. Voxels of the ignore label count as labelled.

    Args:
        mask: label map (z, y, x).
        spacing: mm along x, y, z.

    >>> mask = np.zeros((10, 4, 4), np.uint8)
    >>> mask[1::3] = 1
    >>> holes(mask, (1, 1, 3))[:70]
    'no label in 4 of the 7 slices from the first to the last labelled one;'
    """
    box = label_box(mask)
    if min(mask.shape) == 1 or box is None:
        return ""
    part, axis = mask[box], slice_index(spacing)
    stacks = [np.moveaxis(part, 2 - one, 0) for one in (range(3) if axis is None else [axis])]
    values = list(histogram(part))
    tables = [
        np.stack([np.bincount(plane.ravel(), minlength=values[-1] + 1) > 0 for plane in stack])
        for stack in stacks
    ]
    for stack, table in zip(stacks, tables, strict=True):
        missing, extent = _missing(np.asarray(table[:, 1:].any(axis=1)), stack)
        if missing:
            return f"no label in {_shown(missing, extent)}"
    for value in filter(None, values):
        for stack, table in zip(stacks, tables, strict=True):
            missing, extent = _missing(table[:, value], stack, value)
            if missing:
                return f"label {value} is missing in {_shown(missing, extent)}"
    return ""


def _shown(missing: int, extent: int) -> str:
    return (
        f"{missing} of the {extent} slices from the first to the last labelled one; draw or "
        "interpolate them, or give them the ignore label"
    )


def _missing(used: np.ndarray, stack: np.ndarray, value: int = 0) -> tuple[int, int]:
    """Return the number of slices that a label misses, and of slices between the labelled ends.

    `used` states which slices of `stack` hold the label `value`, or any label for 0.
    """
    labelled = np.flatnonzero(used)
    gaps = [(int(a), int(b)) for a, b in pairwise(labelled) if b - a > 1]
    if not gaps or len(labelled) < 3:
        return 0, 0
    extent = int(labelled[-1] - labelled[0]) + 1
    continued = [(a, b) for a, b in gaps if _continues(stack[a], stack[b], value)]
    single = len(gaps) >= 0.8 * (len(labelled) - 1)  # hardly any two neighbours are labelled
    if single and len(continued) > 0.5 * len(gaps):
        return extent - len(labelled), extent
    lost = [b - a - 1 for a, b in continued if b - a - 1 <= _LOST]
    return (sum(lost), extent) if len(labelled) >= _FEWEST else (0, 0)


def _continues(one: np.ndarray, other: np.ndarray, value: int) -> bool:
    """Return whether a label is at the same place in two slices, over half of the smaller area."""
    if value:
        one, other = one == value, other == value
    shared = int(np.count_nonzero((one == other) & (one > 0)))
    return shared >= 0.5 * int(min(np.count_nonzero(one), np.count_nonzero(other)))
