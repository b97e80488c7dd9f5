"""Distances between the surfaces of two masks, from which HD, HD95, ASSD and NSD follow.

A surface voxel is one of the mask with a face on the background or on the image's border, as in MONAI. Its distance
goes to the nearest surface voxel of the other mask, centre to centre.
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
    """Distance of every surface voxel of a mask to the other mask's surface, both ways.

    Attributes:
        there: (N,), from the first mask's surface.
        back: (M,), from the second one's.
    """

    there: NDArray[np.float64]
    back: NDArray[np.float64]

    @property
    def hd(self) -> float:
        """Hausdorff distance: the largest of all."""
        return float(max(self.there.max(), self.back.max()))

    @property
    def hd95(self) -> float:
        """The larger of the two directed 95th percentiles, linear between two values."""
        return float(max(np.percentile(self.there, 95), np.percentile(self.back, 95)))

    @property
    def assd(self) -> float:
        """Mean of both directions pooled."""
        return float((self.there.sum() + self.back.sum()) / (self.there.size + self.back.size))

    def nsd(self, tolerance: float) -> float:
        """Share of all surface voxels whose distance is at most the tolerance."""
        # A distance that is the tolerance in real numbers must not miss it by a rounding.
        limit = tolerance * (1 + 1e-6)
        near = np.count_nonzero(self.there <= limit) + np.count_nonzero(self.back <= limit)
        return float(near / (self.there.size + self.back.size))


def surface_distances(a: Mask, b: Mask, spacing: Sequence[float]) -> SurfaceDistances:
    """Measure between two masks that both hold something.

    Args:
        a: (*S). An axis of one voxel is left out: a slice stored as a volume is a picture with an outline, not
            a plate that is all surface.
        b: (*S).
        spacing: of each axis; what it is given in the distances have.
    """
    thick = [axis for axis, size in enumerate(a.shape) if size > 1] or [0]
    thin = tuple(axis for axis in range(a.ndim) if axis not in thick)
    a, b = np.squeeze(a, thin), np.squeeze(b, thin)
    step = np.asarray(spacing, dtype=np.float64)[thick]
    ours, theirs = surface(a), surface(b)
    return SurfaceDistances(_to_nearest(ours, theirs, step), _to_nearest(theirs, ours, step))


def surface(mask: Mask) -> Mask:
    """Voxels of a mask with a face on the background or on the border of the array."""
    inner = mask.copy()
    for axis in range(mask.ndim):
        all_of, kept = np.moveaxis(mask, axis, 0), np.moveaxis(inner, axis, 0)
        kept[1:] &= all_of[:-1]
        kept[:-1] &= all_of[1:]
        kept[0] = kept[-1] = False
    return mask ^ inner


def _to_nearest(points: Mask, others: Mask, step: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances of the points to the nearest of the others; they are few against the volume.

    Where both surfaces are, it is 0 and nothing is looked for.
    """
    found = np.zeros(int(np.count_nonzero(points)))
    apart = points & ~others
    if apart.any():
        # Grid points lie evenly: a balanced tree would only take longer to build.
        tree = cKDTree(_places(others, step), balanced_tree=False, compact_nodes=False)
        away, _ = tree.query(_places(apart, step))
        found[: away.size] = away
    return found


def _places(mask: Mask, step: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack(np.nonzero(mask), axis=1) * step
