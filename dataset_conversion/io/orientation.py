"""Stored order of a volume's axes: one code for all volumes, or each with its slice axis first.

Index order is (x, y, z) as in SimpleITK. nnU-Net reads arrays as (z, y, x), so "first" is the array's
axis 0, which is z. Axes are permuted and flipped only; no voxel is resampled and none moves in the body.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import SimpleITK as sitk

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import orientation as code_of
from dataset_conversion.io.geometry import oriented

#: The orientation of a dataset in which each volume has its slice axis first.
SLICES_FIRST = "slices-first"

LONGER = 1.2  # times the voxel's longer side within the slice; beyond it an axis is the slice axis

#: Right-handed codes with z across the slices; within the slice, rows and columns run as on a workstation.
_STORED = {"axial": "LPS", "coronal": "LIP", "sagittal": "PIR", "": "LPS"}
_ACROSS = {
    "S": "axial",
    "I": "axial",
    "A": "coronal",
    "P": "coronal",
    "L": "sagittal",
    "R": "sagittal",
}
_AXES = ["axial", "coronal", "sagittal"]


def slice_axis(spacing: Sequence[float], direction: Sequence[float] | np.ndarray) -> str:
    """Return the plane of a volume's slices: axial, coronal or sagittal.

    The slice axis is the one whose spacing is more than 1.2 times that of both others. An oblique
    plane gets the name of the closest one.

    >>> slice_axis((0.5, 0.5, 3.3), (1, 0, 0, 0, 0, 1, 0, -1, 0))
    'coronal'
    >>> slice_axis((1, 1, 1.1), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    ''

    Args:
        spacing: mm along x, y, z.
        direction: direction cosines (LPS) as SimpleITK returns them, row by row, or as a 3 x 3 array.

    Returns:
        '' if no axis is that much longer than the others.
    """
    code = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(
        np.ravel(direction).astype(float).tolist()
    )
    return slice_plane(spacing, code)


def slice_plane(spacing: Sequence[float], code: str) -> str:
    """Return the plane of a volume's slices, given its orientation as ITK's code.

    >>> slice_plane((0.5, 3.3, 0.5), "LPS")
    'coronal'
    """
    across = slice_index(spacing)
    return "" if across is None else _ACROSS[code[across]]


def slice_index(spacing: Sequence[float]) -> int | None:
    """Return the axis (0, 1, 2 for x, y, z) across a volume's slices; None if there is none.

    >>> slice_index((0.6, 3.3, 0.6)), slice_index((1.0, 1.0, 1.1))
    (1, None)
    """
    rounded = [round(float(mm), 5) for mm in spacing]  # as in the manifest
    order = sorted(range(3), key=lambda axis: rounded[axis])
    across, longer = order[2], order[1]
    return across if rounded[across] > LONGER * rounded[longer] else None


def stored_code(spacing: Sequence[float], code: str, orientation: str) -> str:
    """Return ITK's code in which a volume is stored.

    >>> stored_code((0.5, 3.3, 0.5), "LPS", "slices-first")
    'LIP'

    Args:
        spacing: mm along the source's x, y, z.
        code: the source's orientation.
        orientation: a three-letter code, or `SLICES_FIRST`.
    """
    return _STORED[slice_plane(spacing, code)] if orientation == SLICES_FIRST else orientation


def oriented_to(image: sitk.Image, orientation: str) -> sitk.Image:
    """Return a volume in a dataset's orientation; oblique directions are kept.

    >>> coronal = sitk.Image(8, 3, 8, sitk.sitkInt16)
    >>> coronal.SetSpacing((0.5, 3.3, 0.5))
    >>> oriented_to(coronal, "slices-first").GetSize(), oriented_to(coronal, "PIR").GetSize()
    ((8, 8, 3), (3, 8, 8))

    Args:
        image: any orientation.
        orientation: three letters such as LPS, or `SLICES_FIRST`: axial slices as LPS, coronal as LIP,
            sagittal as PIR, and volumes without a slice axis as LPS.

    Raises:
        DatasetError: not such an orientation.
    """
    if (
        orientation != SLICES_FIRST
        and sorted(_ACROSS.get(letter, "") for letter in orientation) != _AXES
    ):
        raise DatasetError(
            f"orientation {orientation!r}: allowed are {SLICES_FIRST}, and three letters, one each of L or R, "
            "A or P and I or S, such as LPS"
        )
    return oriented(image, stored_code(image.GetSpacing(), code_of(image), orientation))


def left_right_axes(codes: Iterable[str]) -> tuple[int, ...]:
    """Return the axes of the array (z, y, x) that run left-right in any of the orientations.

    >>> left_right_axes(["LPS", "LIP"]), left_right_axes(["LPS", "PIR"])
    ((2,), (0, 2))
    """
    return tuple(sorted({2 - next(i for i in range(3) if code[i] in "LR") for code in codes}))
