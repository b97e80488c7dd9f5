"""Give a mask whose header was lost the grid of its image, at the user's request.

Programs that save a bare array write a default header: voxels of 1 mm at the origin. The array of such a
mask usually has the image's voxels in the image's order. Nothing proves it, and a flipped array looks the
same, so this is never done without the option, and it is reported for each case.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import in_mm, like, orientation

OPTION = "--ignore-mask-header"
_EXPORT = "export the mask with its image as the reference geometry"


def header_lost(mask: sitk.Image) -> bool:
    """Return whether a header is what NIfTI or ITK writes for a bare array.

    >>> header_lost(sitk.Image(4, 5, 6, sitk.sitkUInt8))
    True
    """
    return _unit(mask) and _default_axes(mask) and not np.any(mask.GetOrigin())


def with_image_grid(mask: sitk.Image, image: sitk.Image, who: str) -> tuple[sitk.Image, str]:
    """Return the mask's voxels, in their stored order, on the image's grid, and a note.

    Args:
        mask: label map.
        image: as stored, not reoriented.
        who: the source, for messages.

    Raises:
        DatasetError: the sizes differ, or the mask's axes could run in another order than the image's.
    """
    doubt = _doubt(mask, image)
    if doubt:
        raise DatasetError(f"{who}: {OPTION} cannot be applied: {doubt}; {_EXPORT}")
    return like(sitk.GetArrayViewFromImage(mask), image), (
        f"{OPTION}: mask of {in_mm(mask.GetSpacing())} mm, axes {orientation(mask)}, taken voxel by voxel on "
        f"the image's grid of {in_mm(image.GetSpacing())} mm, axes {orientation(image)}; it may be flipped: "
        f"compare left and right in preview.png with the source"
    )


def _doubt(mask: sitk.Image, image: sitk.Image) -> str:
    """Return why the array of a mask may not have its image's order of axes; empty without a reason."""
    size, other = mask.GetSize(), image.GetSize()
    shown = f"{in_mm(size)} against {in_mm(other)}"
    if size != other:
        swapped = sorted(size) == sorted(other)
        return f"the mask's {'axes are in another order' if swapped else 'size differs from the image'}: {shown}"
    if size[0] == size[2]:
        return f"its size {in_mm(size)} is the same with the axes reversed (x, y, z or z, y, x)"
    spacing, wanted = mask.GetSpacing(), image.GetSpacing()
    exchanged = np.allclose(sorted(spacing), sorted(wanted), rtol=2e-3)
    if exchanged and not np.allclose(spacing, wanted, rtol=2e-3):
        return f"its spacing runs in another order: {in_mm(spacing)} against {in_mm(wanted)} mm"
    code, meant = orientation(mask), orientation(image)
    if code != meant and not _default_axes(mask):
        return f"its header states axes {code} against the image's {meant}, so it is not lost but another one"
    return ""


def _unit(mask: sitk.Image) -> bool:
    return bool(np.allclose(mask.GetSpacing(), 1.0, atol=1e-6))


def _default_axes(mask: sitk.Image) -> bool:
    """Return whether the axes are those of an identity matrix in NIfTI (RAS) or ITK (LPS)."""
    direction = np.reshape(mask.GetDirection(), (3, 3))
    return any(np.allclose(direction, np.diag(way), atol=1e-6) for way in ((1, 1, 1), (-1, -1, 1)))
