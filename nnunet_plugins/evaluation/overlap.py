"""Voxels counted by predicted and true label, and the scores that follow from such counts alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SLAB = 1 << 20  # voxels worked on at a time: look-ups make eight bytes of an index


@dataclass(frozen=True)
class Counts:
    """Voxels of one class against all others; counts of several cases add up."""

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
        """Voxels that were predicted."""
        return self.tp + self.fp

    @property
    def true(self) -> int:
        """Voxels that the reference holds."""
        return self.tp + self.fn

    @property
    def all(self) -> int:
        """Voxels that were looked at."""
        return self.tp + self.fp + self.fn + self.tn


def overlap(counts: Counts) -> dict[str, float | None]:
    """Scores of one class from its counts; all are None where the class is in neither mask.

    A ratio without a denominator is None: precision of nothing predicted, recall, relative volume error of
    nothing there, specificity of an image without background.
    """
    names = ("dice", "iou", "precision", "recall", "accuracy", "specificity", "volume_error")
    if not counts.predicted and not counts.true:
        return dict.fromkeys(names)
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
        for name, (above, below) in zip(names, ratios, strict=True)
    }


def encode(voxels: NDArray[Any], values: Sequence[int]) -> NDArray[Any]:
    """Place of each voxel's value in ``values``; ``len(values)`` where it is not there.

    Args:
        voxels: (*S), whole numbers from 0.
        values: what may be there, each once.
    """
    unknown = len(values)
    table = np.full(max(values) + 2, unknown, dtype=np.min_scalar_type(unknown))
    table[list(values)] = np.arange(unknown)
    codes = np.empty(voxels.shape, dtype=table.dtype)
    for slab in slabs(voxels.shape):
        # Too large values are clipped to the last place, which is never a known one's.
        table.take(voxels[slab].astype(np.intp), mode="clip", out=codes[slab])
    return codes


def joint_counts(prediction: NDArray[Any], reference: NDArray[Any], codes: int) -> NDArray[Any]:
    """Voxels by predicted and true code: (codes, codes), int64.

    Args:
        prediction: (*S), whole numbers from 0 to ``codes`` - 1.
        reference: likewise.
        codes: how many there are.
    """
    found = np.zeros(codes * codes, dtype=np.int64)
    for slab in slabs(prediction.shape):
        pairs = prediction[slab].astype(np.intp)
        pairs *= codes
        pairs += reference[slab]
        found += np.bincount(pairs.ravel(), minlength=codes * codes)
    return found.reshape(codes, codes)


def counts_of(joint: NDArray[Any], members: Collection[int]) -> Counts:
    """One class's counts from the joint ones; a class is a union of codes."""
    inside = np.zeros(len(joint), dtype=bool)
    inside[list(members)] = True
    tp, fp = joint[inside][:, inside].sum(), joint[inside][:, ~inside].sum()
    fn, tn = joint[~inside][:, inside].sum(), joint[~inside][:, ~inside].sum()
    return Counts(int(tp), int(fp), int(fn), int(tn))


def slabs(shape: tuple[int, ...]) -> list[slice]:
    """Cut the first axis into pieces of about ``SLAB`` voxels."""
    step = max(1, SLAB // max(1, int(np.prod(shape[1:], dtype=np.int64))))
    return [slice(start, start + step) for start in range(0, shape[0], step)]
