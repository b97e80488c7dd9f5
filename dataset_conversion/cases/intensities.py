"""The grey levels of an image: what finds copies of it, and what shows whether it is CT in HU.

Copies are found by keys that do not depend on the file, the data type, flipped or exchanged axes
and spacing: digests of the sorted size and of how many voxels have each level. Equal keys make
candidates only; `compare` looks at the voxels.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dataset_conversion.cases.planes import sketch

SAME, NEAR = "same", "near"
FEW = 16  # different values of an image that may be a label map
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
        near: equal for images that differ only in scale, offset, or the value of air or padding.
        lowest: value.
        highest: value.
        levels: number of different values; an estimate if they are continuous.
        negative: share of voxels below -50, those of the lowest value left out.
        planes: finds images that share slices, see `sketch`; empty for an image of few levels.
    """

    key: str
    near: str
    lowest: float
    highest: float
    levels: int
    negative: float
    planes: tuple[int, ...] = ()

    @property
    def hounsfield(self) -> bool:
        """Whether the values are like HU: air near -1000, and tissue such as fat between it and 0."""
        return self.lowest <= _AIR and self.negative >= 0.01


def intensities(array: np.ndarray) -> Intensities:
    """Return the facts on an image's voxels (z, y, x).

    >>> ramp = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    >>> one, other = intensities(ramp), intensities(ramp[::-1].T * 0.5 + 3)
    >>> one.key == other.key, one.near == other.near, one.levels, other.highest
    (False, True, 24, 14.5)
    """
    codes, offset, step = _coded(array)
    counts = _counts(codes)
    present = np.flatnonzero(counts)
    values = offset + step * present
    if step == 0.0:
        values = _values(present)
    held = counts[present]
    low = held[1:][values[1:] < _TISSUE].sum()
    ends = float(array.min()), float(array.max())
    return Intensities(
        *_keys(array.shape, present, held, ends),
        *ends,
        len(present),
        round(float(low) / array.size, 4),
        sketch(array) if len(present) > FEW else (),
    )


def label_key(shape: Sequence[int], voxels: Mapping[int, int]) -> str:
    """Return the key of a label map by its size and the voxels of each value."""
    present = np.array(sorted(value for value, count in voxels.items() if count))
    counts = np.array([voxels[value] for value in present.tolist()])
    return _keys(shape, present, counts, (float(present[0]), float(present[-1])))[0]


def _keys(shape: Sequence[int], levels: np.ndarray, counts: np.ndarray,
          ends: tuple[float, float]) -> tuple[str, str]:  # fmt: skip
    """Return the keys of an image: of all levels with their values, and of the highest without.

    `levels` are ascending integers, `counts` their voxels, `ends` the lowest and highest value.
    """
    if len(levels) < 2:
        return "", ""
    size = sorted(int(n) for n in shape if n > 1)
    values = [f"{value:.4g}" for value in ends]
    found = []
    for first, more in ((0, values), (_top(counts), [])):
        entry = [size, _steps(levels[first:]).tolist(), counts[first:].tolist(), more]
        found.append(hashlib.sha256(json.dumps(entry).encode()).hexdigest()[:32])
    return found[0], found[1]


def compare(one: np.ndarray, other: np.ndarray) -> str:
    """Return `SAME` or `NEAR` if two images hold the same voxels in some order of the axes, else "".

    `NEAR` means that the images differ in scale or offset, or in lower levels, as by another value
    of air or padding. The data type does not matter.

    >>> ramp = np.arange(24).reshape(2, 3, 4)
    >>> compare(ramp, ramp[:, ::-1].T / 1.0), compare(ramp, 2 * ramp), compare(ramp, ramp.clip(3))
    ('same', 'near', 'near')
    >>> compare(ramp, ramp // 2)
    ''
    """
    first, second = _normal(np.squeeze(one)), _normal(np.squeeze(other))
    same_values = np.allclose(first.ends, second.ends, rtol=0, atol=_WHOLE * first.step)
    result = ""
    for order in itertools.permutations(range(first.all.ndim)):
        if tuple(second.all.shape[axis] for axis in order) != first.all.shape:
            continue
        for flips in itertools.product((1, -1), repeat=len(order)):
            steps = tuple(slice(None, None, step) for step in flips)
            if _equal(first.top, second.top.transpose(order)[steps]):
                if same_values and _equal(first.all, second.all.transpose(order)[steps]):
                    return SAME
                result = NEAR
    return result


@dataclass(frozen=True)
class _Normal:
    """An image's voxels without offset and scale.

    Attributes:
        all: steps above the lowest level, counted from 1.
        top: steps above the lowest of the highest levels; 0 for all lower levels.
        ends: lowest and highest value.
        step: difference in value of two levels.
    """

    all: np.ndarray
    top: np.ndarray
    ends: tuple[float, float]
    step: float


def _normal(array: np.ndarray) -> _Normal:
    codes, _, _ = _coded(array)
    counts = _counts(codes)
    present = np.flatnonzero(counts)
    tables = np.zeros((2, len(counts)), np.int32)
    for table, first in zip(tables, (0, _top(counts[present])), strict=True):
        kept = present[first:]
        table[kept] = _steps(kept) + 1
    ends = float(array.min()), float(array.max())
    step = (ends[1] - ends[0]) / max(1, int(tables[0].max()) - 1)
    return _Normal(tables[0][codes], tables[1][codes], ends, step)


def _steps(levels: np.ndarray) -> np.ndarray:
    """Return levels as steps above the lowest, without a common factor."""
    above = levels - levels[0]
    steps: np.ndarray = above // (np.gcd.reduce(above) or 1)
    return steps


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
    shifted: np.ndarray = unsigned ^ unsigned.dtype.type(1 << (bits - 1))
    return shifted


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
