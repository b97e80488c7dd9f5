"""Verify the numbering of the spine's levels from the positions of the labels.

A reversed numbering, or a header with head and feet exchanged, gives a valid dataset in which
every name is wrong. Only the positions reveal it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import SimpleITK as sitk

from dataset_conversion.cases.label_positions import positions
from dataset_conversion.errors import DatasetError


def check_order(mask: sitk.Image, upwards: Sequence[int], who: str, fix: str) -> list[str]:
    """Compare the heights of the labels with the expected order.

    `upwards` are the source's values from the lowest level to the highest; missing ones are skipped. `who` and
    `fix`, which is what to do if the order is reversed, are for messages.

    Returns:
        Notes on single levels that are out of order.

    Raises:
        DatasetError: most neighbours are in the wrong order.

    >>> import numpy as np
    >>> mask = sitk.GetImageFromArray(np.arange(3, dtype=np.uint8).reshape(3, 1, 1))
    >>> check_order(mask, [1, 2], "mask", "renumber it")
    []
    """
    heights = {value: float(found.centre[2]) for value, found in positions(mask).items()}
    present = [value for value in upwards if value in heights]
    wrong = [(low, high) for low, high in pairwise(present) if heights[high] <= heights[low]]
    if 2 * len(wrong) > max(len(present) - 1, 0):
        low, high = wrong[0]
        raise DatasetError(
            f"{who}: label {high} is {heights[low] - heights[high]:.0f} mm below label {low}, "
            f"which should be the lower one ({len(wrong)} of {len(present) - 1} neighbours are in "
            f"the wrong order): {fix}"
        )
    return [f"label {high} is below label {low}, against the numbering" for low, high in wrong]
