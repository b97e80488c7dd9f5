"""Bounding boxes of labels, without a pass over the image for each label."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Box = tuple[slice, ...]


def box_of_both(a: NDArray[Any], b: NDArray[Any]) -> Box:
    """The smallest box around the voxels that are not 0 in one of two images; one voxel if there are none."""
    box: Box = (slice(None),) * a.ndim
    for axis in range(a.ndim):
        others = tuple(other for other in range(a.ndim) if other != axis)
        used = np.flatnonzero(a[box].max(axis=others) | b[box].max(axis=others))
        if not used.size:
            return (slice(0, 1),) * a.ndim
        box = (*box[:axis], slice(int(used[0]), int(used[-1]) + 1), *box[axis + 1 :])
    return box


def box_of(mask: NDArray[np.bool_], margin: Sequence[int]) -> Box | None:
    """The box of a mask, enlarged by voxels of each axis within the image; None if the mask is empty.

    >>> box_of(np.array([[False, False], [False, True]]), margin=(1, 0))
    (slice(0, 2, None), slice(1, 2, None))
    """
    axes = range(mask.ndim)
    spans = [np.flatnonzero(mask.any(tuple(a for a in axes if a != axis))) for axis in axes]
    if not spans[0].size:
        return None
    return tuple(
        slice(max(0, int(span[0]) - more), min(size, int(span[-1]) + 1 + more))
        for span, more, size in zip(spans, margin, mask.shape, strict=True)
    )


def boxes_of(image: NDArray[Any], codes: int) -> list[Box | None]:
    """Code -> the box around its voxels, None if it does not occur.

    Args:
        image: (*S), integers from 0 to ``codes`` - 1.
        codes: number of codes.

    >>> boxes_of(np.array([[0, 2, 2], [0, 2, 0]]), 3)[1:]
    [None, (slice(0, 2, None), slice(1, 3, None))]
    """
    ends = _ends_of_runs(image)
    found = image.ravel()[ends]
    first = np.full((image.ndim, codes), max(image.shape, default=0))
    last = np.full((image.ndim, codes), -1)
    for axis, places in enumerate(np.unravel_index(ends, image.shape)):
        np.minimum.at(first[axis], found, places)
        np.maximum.at(last[axis], found, places)
    return [
        tuple(slice(int(start), int(end) + 1) for start, end in zip(*ends, strict=True))
        if ends[1][0] >= 0
        else None
        for ends in zip(first.T, last.T, strict=True)
    ]


def around(boxes: Sequence[Box | None], rank: int) -> Box:
    """The smallest box around boxes; an empty one without boxes."""
    there = [box for box in boxes if box is not None]
    if not there:
        return (slice(0, 0),) * rank
    return tuple(
        slice(min(part.start for part in axis), max(part.stop for part in axis))
        for axis in zip(*there, strict=True)
    )


def _ends_of_runs(image: NDArray[Any]) -> NDArray[Any]:
    """Flat indices of the first and last voxels of the runs of one code along the last axis."""
    ends = np.ones(image.shape, dtype=bool)
    changes = image[..., 1:] != image[..., :-1]
    ends[..., 1:-1] = changes[..., 1:] | changes[..., :-1]
    return np.flatnonzero(ends)
