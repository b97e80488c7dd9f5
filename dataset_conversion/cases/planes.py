"""Images that share slices: one scan under two ids, with slices left out of one of them.

A few numbers per image find candidates: the sums of its planes along each axis, of which the same
few are kept in each image (those with the smallest hash), so that images with shared planes share
some of them. `shared_planes` then compares the planes themselves.

The sketch of a set by its smallest hashes: Broder, On the resemblance and containment of documents, 1997.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

_KEPT = 6  # sums along each axis
_FACTOR, _BITS = 2654435761, 32  # Knuth's multiplicative hash


def sketch(array: np.ndarray) -> tuple[int, ...]:
    """Return numbers of which images with shared planes share some.

    Planes of one value, and planes with equal sums, do not count. A 2D image has no planes.

    >>> ramp = np.arange(60, dtype=np.int16).reshape(5, 3, 4)
    >>> len(set(sketch(ramp)) & set(sketch(ramp[1:])))
    4
    """
    if array.ndim != 3 or min(array.shape) < 2:
        return ()
    whole = array.dtype.kind in "iub"
    rows = array.sum(axis=2, dtype=np.int64 if whole else np.float64)
    across = array.sum(axis=(0, 1), dtype=rows.dtype)
    lowest = float(array.min())
    found: list[int] = []
    for axis, sums in enumerate((rows.sum(axis=1), rows.sum(axis=0), across)):
        area = array.size // array.shape[axis]
        values, counts = np.unique(sums.astype(np.float32), return_counts=True)
        once = values[(counts == 1) & (values != np.float32(area * lowest))]
        mixed = (once.view(np.uint32).astype(np.uint64) + np.uint64(area)) * np.uint64(_FACTOR)
        found += np.sort(mixed % np.uint64(1 << _BITS))[:_KEPT].tolist()
    return tuple(found)


def shared_planes(one: np.ndarray, other: np.ndarray) -> int:
    """Return how many planes along one axis two images share; their order of axes must be the same.

    Planes may be flipped. Planes of one value do not count.

    >>> ramp = np.arange(60).reshape(5, 3, 4)
    >>> shared_planes(ramp, ramp[2:, :, ::-1]), shared_planes(ramp, ramp + 100)
    (3, 0)
    """
    return max(_shared(np.moveaxis(one, axis, 0), np.moveaxis(other, axis, 0)) for axis in range(3))


def _shared(one: np.ndarray, other: np.ndarray) -> int:
    if one.shape[1:] != other.shape[1:]:
        return 0
    pairs = list(_alike(_sums(one), _sums(other)))
    best = 0
    for flips in itertools.product((1, -1), repeat=2):
        steps = tuple(slice(None, None, step) for step in flips)
        equal = {a for a, b in pairs if np.array_equal(one[a], other[b][steps])}
        best = max(best, len(equal))
    return best


def _sums(planes: np.ndarray) -> list[float]:
    """Return the sum of each plane, NaN for a plane of one value."""
    ends = zip(planes.min(axis=(1, 2)), planes.max(axis=(1, 2)), strict=True)
    sums = planes.sum(axis=(1, 2), dtype=np.float64)
    return [
        float("nan") if low == high else float(np.float32(s))
        for s, (low, high) in zip(sums, ends, strict=True)
    ]


def _alike(one: Sequence[float], other: Sequence[float]) -> Iterator[tuple[int, int]]:
    places: dict[float, list[int]] = {}
    for b, value in enumerate(other):
        places.setdefault(value, []).append(b)
    for a, value in enumerate(one):
        for b in places.get(value, []):
            yield a, b
