"""Distances between the surfaces of two masks: HD, HD95, ASSD and NSD.

A surface voxel has a face on the background or on the image's border, as in MONAI. Its distance is measured to the
nearest surface voxel of the other mask, centre to centre.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class SurfaceDistances:
    """Distance of every surface voxel of a mask to the other mask's surface, in both directions.

    Attributes:
        there: (N,), from the first mask to the second.
        back: (M,), from the second mask to the first.
    """

    there: NDArray[np.float64]
    back: NDArray[np.float64]

    @property
    def hd(self) -> float:
        """Hausdorff distance: the largest distance."""
        return float(max(self.there.max(), self.back.max()))

    @property
    def hd95(self) -> float:
        """The larger of the two directed 95th percentiles, interpolated linearly."""
        return float(max(np.percentile(self.there, 95), np.percentile(self.back, 95)))

    @property
    def assd(self) -> float:
        """Mean of the distances of both directions, pooled."""
        return float((self.there.sum() + self.back.sum()) / (self.there.size + self.back.size))

    @property
    def masd(self) -> float:
        """Mean of the two directed mean distances."""
        return float((self.there.mean() + self.back.mean()) / 2)

    def nsd(self, tolerance: float) -> float:
        """Share of all surface voxels with a distance of at most the tolerance."""
        # A distance equal to the tolerance must not exceed it by a rounding error.
        limit = tolerance * (1 + 1e-6)
        near = np.count_nonzero(self.there <= limit) + np.count_nonzero(self.back <= limit)
        return float(near / (self.there.size + self.back.size))


def surface_distances(a: Mask, b: Mask, spacing: Sequence[float]) -> SurfaceDistances:
    """Measure the distances between two masks that are not empty.

    Args:
        a: (*S). The border of the array counts as background, so empty space around the masks may be cut off.
        b: (*S).
        spacing: of each axis; the distances have its unit.

    >>> a, b = np.zeros((2, 5, 5), dtype=bool)
    >>> a[2, 2] = b[2, 4] = True
    >>> surface_distances(a, b, spacing=(1.0, 0.5)).hd
    1.0
    """
    step = np.asarray(spacing, dtype=np.float64)
    ours, theirs = surface(a), surface(b)
    return SurfaceDistances(to_nearest(ours, theirs, step), to_nearest(theirs, ours, step))


def measured_axes(shape: Sequence[int]) -> tuple[int, ...]:
    """Axes in which an image is measured: those of more than one voxel.

    A slice stored as a volume is a 2D image, whose masks have outlines. In a volume, a mask in one slice is a
    plate, which consists of surface voxels only: the image decides, not the mask.

    >>> measured_axes((30, 512, 512)), measured_axes((1, 512, 512))
    ((0, 1, 2), (1, 2))
    """
    return tuple(axis for axis, size in enumerate(shape) if size > 1) or (0,)


def surface(mask: Mask) -> Mask:
    """Voxels of a mask with a face on the background or on the border of the array.

    >>> int(surface(np.ones((4, 4), dtype=bool)).sum())
    12
    """
    inner: Mask = mask.copy()
    for axis in range(mask.ndim):
        all_of, kept = np.moveaxis(mask, axis, 0), np.moveaxis(inner, axis, 0)
        kept[1:] &= all_of[:-1]
        kept[:-1] &= all_of[1:]
        kept[0] = kept[-1] = False
    inner ^= mask
    return inner


def to_nearest(points: Mask, others: Mask, step: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances of the points, in order, to the nearest of the others; 0, without a search, for points of both."""
    found = np.zeros(int(np.count_nonzero(points)))
    apart = points & ~others
    if apart.any():
        # Grid points are evenly distributed: a balanced tree would only take longer to build.
        tree = cKDTree(_places(others, step), 32, balanced_tree=False, compact_nodes=False)
        away, _ = tree.query(_places(apart, step))
        found[apart[points]] = away
    return found


def _places(mask: Mask, step: NDArray[np.float64]) -> NDArray[np.float64]:
    # Faster than np.nonzero for few voxels.
    return np.stack(np.unravel_index(np.flatnonzero(mask), mask.shape), axis=1) * step
