"""Images that share slices: one scan under two ids, with slices left out of one of them.

A few numbers per image find candidates: sums over its planes along each axis, of which the same
few are kept in each image (those with the smallest hash), so that images with shared planes share
some of them. `shared_planes` then compares the planes themselves.

The sketch of a set by its smallest hashes: Broder, On the resemblance and containment of documents, 1997.
"""

from __future__ import annotations

import numpy as np

_KEPT = 6  # sums along each axis
_PART = 64  # voxels of a plane along each of its axes that are summed, at least
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
    lowest = float(array.min())
    found: list[int] = []
    for axis in range(3):
        planes = _thinned(np.moveaxis(array, axis, 0))
        area = planes[0].size
        sums, counts = np.unique(_sums(planes), return_counts=True)
        once = sums[(counts == 1) & (sums != np.float32(area * lowest))]
        mixed = (once.view(np.uint32).astype(np.uint64) + np.uint64(area)) * np.uint64(_FACTOR)
        found += np.sort(mixed % np.uint64(1 << _BITS))[:_KEPT].tolist()
    return tuple(found)


def shared_planes(one: np.ndarray, other: np.ndarray) -> int:
    """Return how many planes along one axis two images share; their axes must have the same directions.

    Planes of one value do not count.

    >>> ramp = np.arange(60).reshape(5, 3, 4)
    >>> shared_planes(ramp, ramp[2:]), shared_planes(ramp, ramp + 100)
    (3, 0)
    """
    return max(_shared(np.moveaxis(one, axis, 0), np.moveaxis(other, axis, 0)) for axis in range(3))


def _thinned(planes: np.ndarray) -> np.ndarray:
    """Return a regular part of every plane, which does not depend on the number of planes."""
    rows, columns = (max(1, n // _PART) for n in planes.shape[1:])
    return planes[:, ::rows, ::columns]


def _sums(planes: np.ndarray) -> np.ndarray:
    whole = planes.dtype.kind in "iub"
    sums: np.ndarray = planes.sum(axis=(1, 2), dtype=np.int64 if whole else np.float64)
    return sums.astype(np.float32)


def _shared(one: np.ndarray, other: np.ndarray) -> int:
    if one.shape[1:] != other.shape[1:]:
        return 0
    places: dict[float, list[int]] = {}
    for place, value in enumerate(_sums(_thinned(other)).tolist()):
        places.setdefault(value, []).append(place)
    return sum(
        plane.min() < plane.max()
        and any(np.array_equal(plane, other[place]) for place in places.get(value, []))
        for plane, value in zip(one, _sums(_thinned(one)).tolist(), strict=True)
    )
