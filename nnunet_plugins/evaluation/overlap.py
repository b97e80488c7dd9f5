"""Voxel counts by predicted and true label, and the scores that follow from them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Metrics that follow from voxel counts.
OVERLAP = ("dice", "iou", "precision", "recall", "accuracy", "specificity", "volume_error")
SLAB = 1 << 20  # voxels per block: an index takes eight bytes


@dataclass(frozen=True)
class Counts:
    """Voxels of one class against all others; counts of several cases can be added.

    >>> Counts(tp=8, fp=1, fn=2, tn=89) + Counts(tp=0, fp=0, fn=5, tn=95)
    Counts(tp=8, fp=1, fn=7, tn=184)
    """

    tp: int
    fp: int
    fn: int
    tn: int

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn
        )

    @property
    def predicted(self) -> int:
        """Voxels of the prediction."""
        return self.tp + self.fp

    @property
    def true(self) -> int:
        """Voxels of the reference."""
        return self.tp + self.fn

    @property
    def all(self) -> int:
        """Voxels of the image."""
        return self.tp + self.fp + self.fn + self.tn


def overlap(counts: Counts) -> dict[str, float | None]:
    """Scores of one class from its voxel counts; all are None if the class is in neither mask.

    A ratio with a denominator of 0 is None: precision of an empty prediction, recall and relative volume error of an
    empty reference, specificity of an image without background.

    >>> overlap(Counts(tp=8, fp=2, fn=2, tn=88))["dice"]
    0.8
    """
    if not counts.predicted and not counts.true:
        return dict.fromkeys(OVERLAP)
    tp, fp, fn, tn = counts.tp, counts.fp, counts.fn, counts.tn
    ratios = (
        (2 * tp, 2 * tp + fp + fn),
        (tp, tp + fp + fn),
        (tp, tp + fp),
        (tp, tp + fn),
        (tp + tn, counts.all),
        (tn, tn + fp),
        (fp - fn, counts.true),
    )
    return {
        name: above / below if below else None
        for name, (above, below) in zip(OVERLAP, ratios, strict=True)
    }


def encode(voxels: NDArray[Any], values: Sequence[int]) -> NDArray[Any]:
    """Index of each voxel's value in ``values``; ``len(values)`` for other values.

    Args:
        voxels: (*S), integers from 0.
        values: distinct.
    """
    unknown = np.array(len(values), np.min_scalar_type(len(values)))
    consecutive = list(values) == list(range(len(values)))  # as in most datasets
    table = np.full(max(values) + 2, unknown)
    table[list(values)] = np.arange(len(values))
    codes = np.empty(voxels.shape, dtype=table.dtype)
    for slab in slabs(voxels.shape):
        if consecutive:
            np.minimum(voxels[slab], unknown, out=codes[slab], casting="unsafe")
        else:  # Larger values are clipped to the last index, which no known value has.
            table.take(voxels[slab].astype(np.intp), mode="clip", out=codes[slab])
    return codes


def joint_counts(prediction: NDArray[Any], reference: NDArray[Any], codes: int) -> NDArray[Any]:
    """Numbers of voxels by predicted and true code: (codes, codes), int64.

    Args:
        prediction: (*S), integers from 0 to ``codes`` - 1.
        reference: likewise.
        codes: number of codes.
    """
    found = np.zeros(codes * codes, dtype=np.int64)
    kind = np.min_scalar_type(codes * codes)
    for slab in slabs(prediction.shape):
        pairs = prediction[slab].astype(kind)
        pairs *= codes
        pairs += reference[slab]
        found += np.bincount(pairs.ravel(), minlength=codes * codes)
    return found.reshape(codes, codes)


def counts_of(joint: NDArray[Any], members: Collection[int]) -> Counts:
    """Counts of one class, a union of codes, from the joint counts."""
    inside = np.zeros(len(joint), dtype=bool)
    inside[list(members)] = True
    tp, fp = joint[inside][:, inside].sum(), joint[inside][:, ~inside].sum()
    fn, tn = joint[~inside][:, inside].sum(), joint[~inside][:, ~inside].sum()
    return Counts(int(tp), int(fp), int(fn), int(tn))


def slabs(shape: tuple[int, ...]) -> list[slice]:
    """Slices of the first axis that hold about ``SLAB`` voxels each."""
    step = max(1, SLAB // max(1, int(np.prod(shape[1:], dtype=np.int64))))
    return [slice(start, start + step) for start in range(0, shape[0], step)]
