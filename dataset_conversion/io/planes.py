"""Axial, coronal and sagittal planes of an LPS volume, in radiological view."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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

    def cut(self, array: NDArray[Any], at: Sequence[int],
            box: Sequence[slice] = (slice(None),) * 3) -> NDArray[Any]:  # fmt: skip
        """Return a view of the slice at an index, head or front up, the patient's right or front at the left.

        Args:
            array: LPS volume (z, y, x).
            at: index (z, y, x) of a voxel in the plane.
            box: range to show along each axis.

        >>> import numpy as np
        >>> volume = np.arange(8).reshape(2, 2, 2)
        >>> PLANES[1].cut(volume, (0, 1, 0)).tolist()  # coronal: z grows to the head
        [[6, 7], [2, 3]]
        """
        cut = array[tuple(at[i] if i == self.across else box[i] for i in range(3))]
        return cut if self.across == 0 else cut[::-1]


PLANES = (Plane("axial", 0, "RLAP"), Plane("coronal", 1, "RLSI"), Plane("sagittal", 2, "APSI"))
