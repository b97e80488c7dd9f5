"""Axial, coronal and sagittal planes of an LPS volume, in radiological view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Plane:
    """One of the three planes.

    Attributes:
        name: axial, coronal or sagittal.
        across: axis of the array (z, y, x) that is perpendicular to the plane.
        letters: directions at its left, right, upper and lower edge.
    """

    name: str
    across: int
    letters: str

    @property
    def axes(self) -> tuple[int, int]:
        """Axes of the array that run down the rows and along the columns."""
        rows, columns = (axis for axis in range(3) if axis != self.across)
        return rows, columns

    def pixel(self, spacing: Sequence[float]) -> tuple[float, float]:
        """Height and width of a pixel in the plane, from the spacing (z, y, x)."""
        rows, columns = self.axes
        return spacing[rows], spacing[columns]

    def fullest(self, mask: NDArray[np.bool_]) -> int:
        """Index of the slice with the most voxels of a mask; the middle one if the mask is empty.

        >>> mask = np.zeros((4, 5, 6), dtype=bool)
        >>> PLANES[0].fullest(mask)
        2
        >>> mask[3, 1:3, 2:4] = mask[1, 0, 0] = True
        >>> [plane.fullest(mask) for plane in PLANES]
        [3, 1, 2]
        """
        area = mask.sum(axis=self.axes)
        return int(area.argmax()) if area.any() else int(area.size // 2)

    def cut(self, array: NDArray[Any], at: Sequence[int],
            box: Sequence[slice] = (slice(None),) * 3) -> NDArray[Any]:  # fmt: skip
        """Return a view of the slice at an index, head or front up, the patient's right or front at the left.

        Args:
            array: LPS volume (z, y, x).
            at: index (z, y, x) of a voxel in the plane.
            box: range to show along each axis.

        >>> volume = np.arange(8).reshape(2, 2, 2)
        >>> PLANES[1].cut(volume, (0, 1, 0)).tolist()  # coronal: z grows to the head
        [[6, 7], [2, 3]]
        """
        cut = array[tuple(at[i] if i == self.across else box[i] for i in range(3))]
        return cut if self.across == 0 else cut[::-1]


def finest(shape: Sequence[int], spacing: Sequence[float]) -> Plane:
    """The plane across the longest voxels, or of a single slice; the axial plane if the voxels are alike.

    Args:
        shape: of an LPS volume (z, y, x).
        spacing: of its voxels in mm, in the same order.

    >>> finest((40, 512, 512), (4.0, 0.5, 0.5)).name, finest((300, 512, 15), (0.5, 0.5, 4.0)).name
    ('axial', 'sagittal')
    """
    if 1 in shape:
        return PLANES[list(shape).index(1)]
    longest = max(spacing)
    return PLANES[list(spacing).index(longest) if longest > 1.5 * min(spacing) else 0]


PLANES = (Plane("axial", 0, "RLAP"), Plane("coronal", 1, "RLSI"), Plane("sagittal", 2, "APSI"))
