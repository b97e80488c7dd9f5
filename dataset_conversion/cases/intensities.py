"""The grey levels of an image: what finds copies of it, and what shows whether it is CT in HU.

Copies are found by keys that do not depend on the file, the data type, flipped or exchanged axes,
spacing, scale and offset: digests of the sorted size and of how many voxels have each level. Equal
keys make candidates only; `compare` looks at the voxels.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

SAME, NEAR = "same", "near"
_SHARE = 4  # the highest levels are those that hold a quarter of the voxels,
_FEWEST = 8  # and at least eight
_RANGE = 1 << 22  # most levels that are counted one by one
_SAMPLE = 1 << 16  # voxels from which the distance of two levels is estimated
_PART = 1 << 20  # voxels that are counted at a time
_WHOLE = 0.05  # steps: largest distance of a value from its level
_AIR, _TISSUE = -900.0, -50.0  # HU


@dataclass(frozen=True)
class Intensities:
    """Facts on the voxels of one image.

    Attributes:
        key: equal for copies; empty for an image of one level.
        near: equal for images that differ only in lower levels, as by another value of air.
        lowest: value.
        highest: value.
        levels: number of different values; an estimate if they are continuous.
        negative: share of voxels below -50, those of the lowest value left out.
    """

    key: str
    near: str
    lowest: float
    highest: float
    levels: int
    negative: float

    @property
    def hounsfield(self) -> bool:
        """Whether the values are like HU: air near -1000, and tissue such as fat between it and 0."""
        return self.lowest <= _AIR and self.negative >= 0.01


def intensities(array: np.ndarray) -> Intensities:
    """Return the facts on an image's voxels (z, y, x).

    >>> ramp = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    >>> one, other = intensities(ramp), intensities(ramp[::-1].T * 0.5 + 3)
    >>> one.key == other.key, one.levels, other.highest
    (True, 24, 14.5)
    """
    codes, offset, step = _coded(array)
    counts = _counts(codes)
    present = np.flatnonzero(counts)
    values = offset + step * present
    if step == 0.0:
        values = _values(present)
    held = counts[present]
    low = held[1:][values[1:] < _TISSUE].sum()
    return Intensities(
        *keys(array.shape, present, held),
        float(array.min()),
        float(array.max()),
        len(present),
        round(float(low) / array.size, 4),
    )


def keys(shape: Sequence[int], levels: np.ndarray, counts: np.ndarray) -> tuple[str, str]:
    """Return the keys of an image, of all levels and of the highest; see `Intensities`.

    Args:
        shape: of the array.
        levels: integers in ascending order.
        counts: voxels of each level.
    """
    if len(levels) < 2:
        return "", ""
    size = sorted(int(n) for n in shape if n > 1)
    found = []
    for first in (0, _top(counts)):
        entry = [size, _steps(levels[first:]).tolist(), counts[first:].tolist()]
        found.append(hashlib.sha256(json.dumps(entry).encode()).hexdigest()[:32])
    return found[0], found[1]


def label_key(shape: Sequence[int], voxels: Mapping[int, int]) -> str:
    """Return the key of a label map by its size and the voxels of each value."""
    present = sorted(value for value, count in voxels.items() if count)
    return keys(shape, np.array(present), np.array([voxels[value] for value in present]))[0]


def compare(one: np.ndarray, other: np.ndarray) -> str:
    """Return `SAME` or `NEAR` if two images hold the same voxels in some order of the axes, else "".

    Compared are levels without regard to data type, scale and offset. `NEAR` means
    that only lower levels differ, as by another value of air or padding.

    >>> ramp = np.arange(24).reshape(2, 3, 4)
    >>> compare(ramp, 2.5 * ramp[:, ::-1].T), compare(ramp, np.maximum(ramp, 3))
    ('same', 'near')
    >>> compare(ramp, ramp // 2)
    ''
    """
    first, second = _normal(np.squeeze(one)), _normal(np.squeeze(other))
    result = ""
    for order in itertools.permutations(range(first[0].ndim)):
        if tuple(second[0].shape[axis] for axis in order) != first[0].shape:
            continue
        for flips in itertools.product((1, -1), repeat=len(order)):
            steps = tuple(slice(None, None, step) for step in flips)
            turned = [levels.transpose(order)[steps] for levels in second]
            if _equal(first[1], turned[1]):
                if _equal(first[0], turned[0]):
                    return SAME
                result = NEAR
    return result


def _normal(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps of each voxel above the lowest level, and above the lowest of the highest.

    Both do not depend on offset and scale. In the second, all lower levels are 0.
    """
    codes, _, _ = _coded(array)
    counts = _counts(codes)
    present = np.flatnonzero(counts)
    tables = np.zeros((2, len(counts)), np.int32)
    for table, first in zip(tables, (0, _top(counts[present])), strict=True):
        kept = present[first:]
        table[kept] = _steps(kept) + 1
    return tables[0][codes], tables[1][codes]


def _steps(levels: np.ndarray) -> np.ndarray:
    """Return levels as steps above the lowest, without a common factor."""
    above: np.ndarray = levels - levels[0]
    return above // (np.gcd.reduce(above) or 1)


def _top(counts: np.ndarray) -> int:
    """Return the index of the first of the highest levels; see `_SHARE` and `_FEWEST`."""
    above = np.cumsum(counts[::-1])
    held = int(np.searchsorted(above * _SHARE, above[-1])) + 1
    return max(0, len(counts) - max(held, _FEWEST))


def _coded(array: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Return each voxel's level as an integer from 0, and the value of level 0 and the step of levels.

    A step of 0 stands for continuous values, whose codes are those of `_continuous`.
    """
    low, high = float(array.min()), float(array.max())
    if array.dtype.kind == "b":
        array = array.astype(np.uint8)
    if array.dtype.kind in "iu" and array.dtype.itemsize <= 2:
        return _shifted(array), float(np.iinfo(array.dtype).min), 1.0
    if low >= -32768 and high <= 32767:
        short = array.astype(np.int16)
        if array.dtype.kind in "iu" or _equal(short, array):
            return _shifted(short), -32768.0, 1.0
    step = 1.0 if array.dtype.kind in "iu" else _step(array, low)
    codes = _stepped(array, low, step) if step and (high - low) / step < _RANGE else None
    return (_continuous(array), 0.0, 0.0) if codes is None else (codes, low, step)


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    return all(bool((a == b).all()) for a, b in zip(one, other, strict=True))


def _shifted(array: np.ndarray) -> np.ndarray:
    """Return integers of one or two bytes as unsigned ones, in the same order."""
    if array.dtype.kind == "u":
        return array
    bits = 8 * array.dtype.itemsize
    unsigned = np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}")
    return unsigned ^ unsigned.dtype.type(1 << (bits - 1))


def _step(array: np.ndarray, low: float) -> float:
    """Estimate the distance of two neighbouring levels from a part of the voxels; 0 if there are none."""
    flat = array.reshape(-1)
    part = flat[:: max(1, flat.size // _SAMPLE)].astype(np.float64)
    if low == np.rint(low) and (part == np.rint(part)).all():
        return 1.0
    some = np.unique(part) - low
    gaps = np.diff(some)
    gaps = gaps[gaps > 1e-6 * some[-1]]  # below it is rounding of float32
    if not gaps.size:
        return 0.0
    step = float(gaps[gaps < 1.5 * gaps.min()].mean())
    reach = 8.0
    while reach < _RANGE:  # the estimate gains precision with the distance from the lowest level
        near = some[(some > 0) & (some < reach * step)]
        if near.size:
            step = float(near[-1] / np.rint(near[-1] / step))
        reach *= 2
    return step


def _stepped(array: np.ndarray, low: float, step: float) -> np.ndarray | None:
    """Return the number of steps of each voxel above the lowest; None if they are not whole."""
    codes = np.empty(array.shape, np.int32)
    for part, out in zip(array, codes, strict=True):
        steps = (part.astype(np.float64) - low) / step
        whole = np.rint(steps)
        if np.abs(steps - whole).max() > _WHOLE:
            return None
        out[...] = whole
    return codes


def _continuous(array: np.ndarray) -> np.ndarray:
    """Return the upper half of the bits of float32, as integers that grow with the value."""
    codes = np.empty(array.shape, np.int16)
    for part, out in zip(array, codes, strict=True):
        bits = (part.astype(np.float32) + np.float32(0)).view(np.int32)  # + 0: no -0
        out[...] = (bits ^ ((bits >> 31) & 0x7FFFFFFF)) >> 16
    return _shifted(codes)


def _values(codes: np.ndarray) -> np.ndarray:
    """Return the values of codes of `_continuous`, to their first digits."""
    bits = (codes.astype(np.int32) - 32768) << 16
    values: np.ndarray = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).view(np.float32).astype(np.float64)
    return values


def _counts(codes: np.ndarray) -> np.ndarray:
    """Return the number of voxels of each code; in parts, as numpy makes each code 8 bytes."""
    flat = codes.reshape(-1)
    counts = np.zeros(int(flat.max()) + 1, np.int64)
    for start in range(0, flat.size, _PART):
        counts += np.bincount(flat[start : start + _PART], minlength=len(counts))
    return counts
