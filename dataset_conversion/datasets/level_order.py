"""Proof that levels of the spine are numbered the way that a scheme says, from where they lie.

A reversed numbering, or a header with head and feet exchanged, gives a perfectly valid dataset
with every name wrong. Only the positions tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import SimpleITK as sitk

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import affine

_FEW = 200_000  # voxels that are enough to tell where labels lie


def check_order(mask: sitk.Image, upwards: Sequence[int], who: str, cure: str) -> list[str]:
    """Compare the heights of labels with the order that they ought to have.

    Args:
        mask: source values.
        upwards: values from the lowest level to the highest; those that are missing do not count.
        who: the mask, for messages.
        cure: what to do where the order is the reverse.

    Returns:
        Notes on single levels that are out of order.

    Raises:
        DatasetError: most neighbours are the wrong way round.
    """
    heights = _heights(mask)
    there = [value for value in upwards if value in heights]
    wrong = [(low, high) for low, high in pairwise(there) if heights[high] <= heights[low]]
    if 2 * len(wrong) > max(len(there) - 1, 0):
        low, high = wrong[0]
        raise DatasetError(
            f"{who}: label {high} lies {heights[low] - heights[high]:.0f} mm below label {low}, "
            f"which should be the lower one ({len(wrong)} of {len(there) - 1} neighbours are the "
            f"wrong way round): {cure}"
        )
    return [f"label {high} lies below label {low}, against the numbering" for low, high in wrong]


def _heights(mask: sitk.Image) -> dict[int, float]:
    """Return each value's mean height (LPS z, mm)."""
    array = sitk.GetArrayViewFromImage(mask)
    step = max(1, int((array.size / _FEW) ** (1 / 3)))
    steps = [min(step, max(1, n // 8)) for n in array.shape]
    few = array[tuple(slice(None, None, s) for s in steps)]
    found = np.nonzero(few)
    values = few[found]
    index = np.stack([axis * s for axis, s in zip(found[::-1], reversed(steps), strict=True)])
    matrix = affine(mask)
    height = matrix[2, :3] @ index + matrix[2, 3]
    counts = np.bincount(values)
    sums = np.bincount(values, height)
    return {int(v): float(sums[v] / counts[v]) for v in np.flatnonzero(counts)}
