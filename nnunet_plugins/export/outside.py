"""How far a surface lies outside of the voxels of its mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_STEPS = np.array(list(np.ndindex(3, 3, 3))) - 1


def farthest_outside(
    points: NDArray[np.floating], mask: NDArray[np.bool_], edges: NDArray[np.floating]
) -> float:
    """The largest distance of a point to the nearest voxel of a mask, in mm; 0 if all are inside of voxels.

    Args:
        points: (N, 3), indices in the order of the mask's axes; integers are the centres of voxels. A point that is
            more than a voxel away from the mask counts as one voxel away.
        mask: (z, y, x).
        edges: of a voxel in mm, in the order of the mask's axes.

    >>> mask = np.zeros((3, 3, 3), dtype=bool)
    >>> mask[1, 1, 1] = True
    >>> farthest_outside(np.array([[1.75, 1.0, 1.0], [1.2, 0.6, 1.0]]), mask, np.array([4.0, 1.0, 1.0]))
    1.0
    """
    nearest = np.rint(points).astype(np.intp)
    wide = np.pad(mask, 3)
    nearest = nearest.clip(-2, np.array(mask.shape) + 1)
    away = ~wide[tuple(nearest.T + 3)]
    points, nearest = points[away], nearest[away]
    found = np.full(len(points), float(edges.max()))
    for step in _STEPS:
        voxel = nearest + step
        inside = wide[tuple(voxel.T + 3)]
        beyond = np.maximum(np.abs(points[inside] - voxel[inside]) - 0.5, 0) * edges
        found[inside] = np.minimum(found[inside], np.linalg.norm(beyond, axis=1))
    return float(found.max(initial=0.0))
