"""Matching of predicted to true instances by their overlap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Overlaps:
    """Sizes of instances and of their overlaps; 0 is the background.

    Attributes:
        predicted: (N + 1,) voxels of each predicted instance.
        true: (M + 1,) voxels of each true instance.
        first: (K,) predicted instance of each pair that overlaps.
        second: (K,) true instance of each pair.
        common: (K,) voxels of each pair.
    """

    predicted: NDArray[Any]
    true: NDArray[Any]
    first: NDArray[Any]
    second: NDArray[Any]
    common: NDArray[Any]

    @property
    def iou(self) -> NDArray[np.float64]:
        """(K,) IoU of each pair."""
        either = self.predicted[self.first] + self.true[self.second] - self.common
        return np.asarray(self.common / either, dtype=np.float64)


def count_overlaps(a: NDArray[Any], b: NDArray[Any]) -> Overlaps:
    """Voxels of each instance and of each pair that overlaps; there may be thousands of instances."""
    both = (a != 0) & (b != 0)
    width = int(b.max(initial=0)) + 1
    pairs, common = np.unique(a[both].astype(np.int64) * width + b[both], return_counts=True)
    predicted, true = (np.bincount(image.ravel(), minlength=1) for image in (a, b))
    return Overlaps(predicted, true, pairs // width, pairs % width, common)


def match_instances(overlaps: Overlaps, threshold: float) -> list[tuple[int, int, int]]:
    """Pairs of instances that match, each with the number of common voxels.

    Args:
        overlaps: of the instances, numbered from 1.
        threshold: IoU that a pair must exceed.

    >>> a, b = np.array([1, 1, 1, 1, 0, 2]), np.array([1, 1, 1, 0, 0, 0])
    >>> [(int(i), int(j)) for i, j, _ in match_instances(count_overlaps(a, b), 0.5)]
    [(1, 1)]
    """
    from scipy.optimize import linear_sum_assignment  # slow to import

    over = overlaps.iou > threshold
    rows, i = np.unique(overlaps.first[over], return_inverse=True)
    columns, j = np.unique(overlaps.second[over], return_inverse=True)
    iou, common = np.zeros((2, rows.size, columns.size))
    iou[i, j], common[i, j] = overlaps.iou[over], overlaps.common[over]
    return [
        (int(rows[i]), int(columns[j]), int(common[i, j]))
        for i, j in zip(*linear_sum_assignment(iou, maximize=True), strict=True)
        if iou[i, j] > 0
    ]
