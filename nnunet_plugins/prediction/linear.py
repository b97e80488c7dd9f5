"""nnU-Net's linear interpolation of logits, value by value, and where it need not be computed.

nnU-Net resamples logits with `skimage.transform.resize` of order 1, which calls `scipy.ndimage.zoom`, in float64, and
rounds the result to float16. `blend` repeats that arithmetic at chosen voxels, with the same float16 values.

An interpolated value is a mean of the values at the corners of a cell, with weights that add up to 1. If a class has
the largest logit at all corners, by more than the rounding to float16, it has the largest one everywhere in the cell.
`agreement` finds these cells, which are most of an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Axis:
    """Samples along one axis: each is a mean of two stored values.

    Attributes:
        low: (N,) index of the first value.
        high: (N,) index of the second; the same where the second has no weight.
        weights: (2, N); None where values are copied.
    """

    low: Indices
    high: Indices
    weights: NDArray[np.float64] | None

    @property
    def corners(self) -> list[tuple[Indices, NDArray[np.float64] | None]]:
        """Index and weight of each value that is averaged."""
        if self.weights is None:
            return [(self.low, None)]
        return [(self.low, self.weights[0]), (self.high, self.weights[1])]


def linear_axis(stored: int, samples: int) -> Axis:
    """Samples of `scipy.ndimage.zoom(order=1, mode="nearest", grid_mode=True)` along one axis.

    Beyond the outermost values both corners are the outermost value, as in SciPy's C code.

    >>> linear_axis(2, 4).low, linear_axis(2, 4).high
    (array([0, 0, 0, 1]), array([0, 1, 1, 1]))
    """
    place = _places(stored, samples)
    low = np.floor(place)
    first = 1.0 - (place - low)
    second = 1.0 - first
    at = low.astype(np.intp)
    last = stored - 1
    high = np.where(second > 0, at + 1, at)
    return Axis(at.clip(0, last), high.clip(0, last), np.stack([first, second]))


def nearest_axis(stored: int, samples: int) -> Axis:
    """Samples of `scipy.ndimage.map_coordinates(order=0, mode="nearest")`, as nnU-Net calls it, along one axis.

    >>> nearest_axis(4, 2).low
    array([1, 3])
    """
    place = _places(stored, samples).clip(0, stored - 1)
    index = np.floor(place + 0.5).astype(np.intp)
    return Axis(index, index, None)


def _places(stored: int, samples: int) -> NDArray[np.float64]:
    places = (np.arange(samples) + 0.5) * (float(stored) / samples) - 0.5
    return np.asarray(places, np.float64)


def linear_axes(resample: partial[Any], stored: Sequence[int], samples: Sequence[int],
                spacing: Sequence[float], target: Sequence[float]) -> list[Axis] | None:  # fmt: skip
    """The axes of nnU-Net's default resampling of logits; None for another function or order.

    Args:
        resample: `ConfigurationManager.resampling_fn_probabilities`.
        stored: voxels of the logits, 3 axes.
        samples: voxels of the image.
        spacing: of the logits.
        target: of the image.
    """
    from nnunetv2.preprocessing.resampling.default_resampling import (
        determine_do_sep_z_and_axis,
        resample_data_or_seg_to_shape,
    )

    given = dict(resample.keywords)
    known = {"is_seg", "order", "order_z", "force_separate_z", "separate_z_anisotropy_threshold"}
    if resample.func is not resample_data_or_seg_to_shape or set(given) - known:
        return None
    if given.get("is_seg", False) or given.get("order", 3) != 1:
        return None
    threshold = {k: v for k, v in given.items() if k == "separate_z_anisotropy_threshold"}
    force = given.get("force_separate_z", False)
    apart, axis = determine_do_sep_z_and_axis(force, spacing, target, **threshold)
    axes = [linear_axis(n, m) for n, m in zip(stored, samples, strict=True)]
    if apart and list(stored) != list(samples):
        if stored[axis] != samples[axis] and given.get("order_z", 0) != 0:
            return None
        axes[axis] = nearest_axis(stored[axis], samples[axis])
    return axes


def blend(values: NDArray[Any], axes: Sequence[Axis], points: Sequence[Indices]) -> NDArray[Any]:
    """Interpolate at points, as `scipy.ndimage.zoom` does.

    Args:
        values: (heads, A, B, C), of any float type.
        axes: of the three axes.
        points: three arrays (N,), the index of each point along each axis.

    Returns:
        (heads, N), of the values' type; computed in float64.
    """
    chosen = [
        [(index[at], None if weight is None else weight[at]) for index, weight in axis.corners]
        for axis, at in zip(axes, points, strict=True)
    ]
    corners = [
        (
            np.ravel_multi_index([index for index, _ in corner], values.shape[1:]),
            [weight for _, weight in corner if weight is not None],
        )
        for corner in product(*chosen)
    ]
    found = np.empty((len(values), len(points[0])), values.dtype)
    for one, target in zip(values, found, strict=True):
        flat = one.reshape(-1)
        total = np.zeros(len(target))
        for index, weights in corners:
            part = flat[index].astype(np.float64)
            for weight in weights:
                part *= weight
            total += part
        target[...] = total
    return found


def agreement(codes: NDArray[Any], axes: Sequence[Axis], mark: int) -> NDArray[Any]:
    """The code that all corners of each sample's cell have, or ``mark`` if they differ or one has it.

    Args:
        codes: (A, B, C), unsigned integers.
        axes: of the three axes.
        mark: value of ``codes`` that never agrees.

    >>> agreement(np.array([[[1, 1, 2]]], np.uint8), [linear_axis(n, n * 2) for n in (1, 1, 3)], 255)[0, 0]
    array([  1,   1,   1, 255, 255,   2], dtype=uint8)
    """
    for number, axis in enumerate(axes):
        found = codes.take(axis.low, number)
        if np.any(axis.low != axis.high):
            found[found != codes.take(axis.high, number)] = mark
        codes = found
    return codes
