"""Surface distances weighted by area: HD, HD95, ASSD and NSD, for thick slices.

The other distances count every surface voxel once, whatever its area is: in slices of 4 mm with pixels of 0.5 mm,
faces between the slices and faces of pixels weigh the same. Here every corner of 2x2x2 voxels (2x2 in two dimensions)
that are partly within a mask is an element, with the area of the surface in it. This is the definition of DeepMind's
surface-distance (Nikolov et al. 2021, https://doi.org/10.2196/26151) and of MONAI's `use_subvoxels`, whose elements
and areas are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nnunet_plugins.evaluation.surfaces import Mask, to_nearest

Values = NDArray[np.float64]
_ROUNDING = 1e-6


@dataclass(frozen=True)
class AreaDistances:
    """Distance and area of every surface element of two masks, in both directions.

    Attributes:
        there: (N,) distances from the first mask's elements to the second's.
        there_areas: (N,) their areas, in two dimensions their lengths.
        back: (M,) distances from the second mask's elements to the first's.
        back_areas: (M,).
    """

    there: Values
    there_areas: Values
    back: Values
    back_areas: Values

    @property
    def hd(self) -> float:
        """The largest distance."""
        return float(max(self.there.max(), self.back.max()))

    @property
    def hd95(self) -> float:
        """The larger of the two directed distances within which 95 % of the area is."""
        return max(
            _percentile(self.there, self.there_areas, 0.95),
            _percentile(self.back, self.back_areas, 0.95),
        )

    @property
    def assd(self) -> float:
        """Mean of the distances of both directions, weighted by area."""
        weighted = self.there @ self.there_areas + self.back @ self.back_areas
        return float(weighted / (self.there_areas.sum() + self.back_areas.sum()))

    def nsd(self, tolerance: float) -> float:
        """Share of the area with a distance of at most the tolerance."""
        limit = tolerance * (1 + _ROUNDING)
        near = (
            self.there_areas[self.there <= limit].sum() + self.back_areas[self.back <= limit].sum()
        )
        return float(near / (self.there_areas.sum() + self.back_areas.sum()))


def area_distances(a: Mask, b: Mask, spacing: Sequence[float]) -> AreaDistances:
    """Measure two masks that are not empty, in two or three dimensions.

    Args:
        a: (*S), S of rank 2 or 3; beyond the border is background.
        b: (*S).
        spacing: of each axis, mm.

    Raises:
        ValueError: the rank is not 2 or 3.

    >>> a, b = np.zeros((2, 6, 6), dtype=bool)
    >>> a[2, 2] = b[2, 4] = True
    >>> found = area_distances(a, b, spacing=(2.0, 1.0))
    >>> found.assd, found.hd, found.nsd(1.0)
    (1.5, 2.0, 0.5)
    """
    import torch  # slow to import, and only needed here
    from monai.metrics.utils import get_mask_edges

    if a.ndim not in (2, 3):
        raise ValueError(f"area_distances: {a.ndim} axes; surfaces have areas in 2 or 3 dimensions")
    step = np.asarray(spacing, dtype=np.float64)
    masks = [torch.from_numpy(np.ascontiguousarray(mask)) for mask in (a, b)]
    ours, theirs, our_areas, their_areas = (
        found.numpy() for found in get_mask_edges(*masks, spacing=step.tolist())
    )
    return AreaDistances(
        to_nearest(ours, theirs, step),
        our_areas[ours].astype(np.float64),
        to_nearest(theirs, ours, step),
        their_areas[theirs].astype(np.float64),
    )


def _percentile(distances: Values, areas: Values, share: float) -> float:
    """The smallest distance within which a share of the area is, without interpolation."""
    order = np.argsort(distances, kind="stable")
    within = np.cumsum(areas[order])
    at = np.searchsorted(within, share * within[-1] * (1 - _ROUNDING))
    return float(distances[order][min(int(at), distances.size - 1)])
