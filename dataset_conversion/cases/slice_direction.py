"""The body axis that the slices of a volume follow: axial, coronal, sagittal, or none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

_LONGER = 1.2  # an axis is the slice axis if its voxels are longer than the others by this factor
_PLANES = {letter: plane for letters, plane in
           (("IS", "axial"), ("AP", "coronal"), ("LR", "sagittal")) for letter in letters}  # fmt: skip


def slice_index(spacing: Sequence[float]) -> int | None:
    """Return the axis (0, 1, 2 for x, y, z) across the slices, the one with the longest voxels.

    None if a second axis has voxels of about that length (within 20 %): then there are no slices.

    Args:
        spacing: mm along x, y, z.

    >>> slice_index((0.6, 3.3, 0.6)), slice_index((1.0, 1.0, 1.1))
    (1, None)
    """
    order = sorted(range(3), key=lambda axis: spacing[axis])
    return order[2] if spacing[order[2]] > _LONGER * spacing[order[1]] else None


def slice_axis(spacing: Sequence[float], direction: np.ndarray) -> str:
    """Return the plane of the slices: axial, coronal, sagittal, or "" if there are no slices.

    Oblique slices count as the nearest plane, as in ITK's orientation codes.

    Args:
        spacing: mm along x, y, z.
        direction: 3 x 3 matrix with the directions of x, y, z as columns (LPS), as SimpleITK's.

    >>> slice_axis((0.6, 0.6, 3.3), np.eye(3))
    'axial'
    >>> slice_axis((1.0, 1.0, 1.0), np.eye(3))
    ''
    """
    axis = slice_index(spacing)
    if axis is None:
        return ""
    code = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(
        [float(value) for value in np.asarray(direction).ravel()]
    )
    return _PLANES[code[axis]]
