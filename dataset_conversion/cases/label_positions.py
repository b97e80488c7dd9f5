"""Positions of labels in the body: the only evidence against exchanged or reversed numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from dataset_conversion.io.geometry import affine

_FEW = 200_000  # voxels that suffice to locate the labels


@dataclass(frozen=True)
class Position:
    """Mean position of a label (x, y, z in LPS mm), and how many voxels were counted for it."""

    centre: np.ndarray
    weight: int


def positions(mask: sitk.Image) -> dict[int, Position]:
    """Return the mean position of each value other than 0, from a regular part of the voxels.

    >>> mask = sitk.GetImageFromArray(np.arange(3, dtype=np.uint8).reshape(3, 1, 1))
    >>> positions(mask)[2].centre.tolist()
    [0.0, 0.0, 2.0]
    """
    array = sitk.GetArrayViewFromImage(mask)
    step = max(1, int((array.size / _FEW) ** (1 / 3)))
    steps = [min(step, max(1, n // 8)) for n in array.shape]
    few = array[tuple(slice(None, None, s) for s in steps)]
    found = np.nonzero(few)
    values = few[found]
    index = np.stack([axis * s for axis, s in zip(found[::-1], reversed(steps), strict=True)])
    matrix = affine(mask)
    where = matrix[:3, :3] @ index + matrix[:3, 3:]
    counts = np.bincount(values)
    sums = np.stack([np.bincount(values, axis, counts.size) for axis in where], axis=-1)
    return {int(v): Position(sums[v] / counts[v], int(counts[v])) for v in np.flatnonzero(counts)}


def joint(found: Mapping[int, Position], values: Iterable[int]) -> np.ndarray | None:
    """Return the mean position of several values together, None if none of them occurs."""
    parts = [found[value] for value in values if value in found]
    if not parts:
        return None
    centre: np.ndarray = np.average(
        [part.centre for part in parts], axis=0, weights=[part.weight for part in parts]
    )
    return centre
