"""Give a mask whose header was lost the grid of its image, at the user's request.

Programs that save a bare array write a default header: voxels of 1 mm at the origin, or no orientation at
all. The array of such a mask usually has the image's voxels in the image's order. Nothing proves it, and a
flipped array looks the same, so this is never done without the option, and it is reported for each case.
"""

from __future__ import annotations

import numpy as np

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import in_mm
from dataset_conversion.io.volumes import Header

OPTION = "--ignore-mask-header"
_EXPORT = "export the mask with its image as the reference geometry"


def header_lost(mask: Header) -> bool:
    """Return whether a header is what NIfTI or ITK writes for a bare array.

    >>> header_lost(Header((4, 5, 6), np.eye(4)))
    True
    """
    return _unit(mask) and _default_axes(mask) and not np.any(mask.matrix[:3, 3])


def may_be_lost(mask: Header, grid: Header) -> bool:
    """Return whether a part of a header is a default, or places the mask where its image is not.

    A header that states another position on its image is more likely that of another series.

    >>> image, mask = np.diag([1.0, 1.0, 2.0, 1.0]), np.diag([1.0, 1.0, 2.0, 1.0])
    >>> image[:3, 3], mask[:3, 3] = (-20, -30, 100), (-20, -30, 101)
    >>> may_be_lost(Header((4, 5, 6), mask), Header((4, 5, 6), image))
    False
    """
    default = _unit(mask) or not np.any(mask.matrix[:3, 3])
    centre, other = _centre(mask), _centre(grid)
    inside = np.linalg.inv(grid.matrix) @ centre - np.linalg.inv(grid.matrix) @ other
    return default or bool((np.abs(inside[:3]) > np.asarray(grid.size) / 2).any())


def take_grid(mask: Header, grid: Header, who: str, lost: str = "") -> str:
    """Check that a mask's voxels can be taken in their stored order on an image's grid; return a note.

    The grid is that of the image as stored, not reoriented. `lost`: why the mask's header gives no orientation,
    if so.

    Raises:
        DatasetError: the sizes differ, or the mask's axes could run in another order than the image's.
    """
    doubt = _doubt(mask, grid)
    if doubt:
        raise DatasetError(f"{who}: {OPTION} cannot be applied: {doubt}; {_EXPORT}")
    away = float(np.linalg.norm((_centre(mask) - _centre(grid))[:3]))
    stated = f"mask of {in_mm(mask.spacing)} mm, axes {mask.orientation}, {away:.1f} mm away from its image"
    return (
        f"{OPTION}: {'mask without orientation' if lost else stated}, taken voxel by voxel on the image's grid of "
        f"{in_mm(grid.spacing)} mm, axes {grid.orientation}; it may be flipped: compare left and right in "
        "preview.png with the source"
    )


def _doubt(mask: Header, grid: Header) -> str:
    """Return why the array of a mask may not have its image's order of axes; empty without a reason."""
    size, other = mask.size, grid.size
    shown = f"{in_mm(size)} against {in_mm(other)}"
    if size != other:
        swapped = sorted(size) == sorted(other)
        return f"the mask's {'axes are in another order' if swapped else 'size differs from the image'}: {shown}"
    if size[0] == size[2]:
        return f"its size {in_mm(size)} is the same with the axes reversed (x, y, z or z, y, x)"
    spacing, wanted = mask.spacing, grid.spacing
    exchanged = np.allclose(sorted(spacing), sorted(wanted), rtol=2e-3)
    if exchanged and not np.allclose(spacing, wanted, rtol=2e-3):
        return f"its spacing runs in another order: {in_mm(spacing)} against {in_mm(wanted)} mm"
    code, meant = mask.orientation, grid.orientation
    if code != meant and not _default_axes(mask):
        return f"its header states axes {code} against the image's {meant}, so it is not lost but another one"
    return ""


def _centre(grid: Header) -> np.ndarray:
    centre: np.ndarray = grid.matrix @ (*((np.asarray(grid.size) - 1) / 2), 1.0)
    return centre


def _unit(mask: Header) -> bool:
    return bool(np.allclose(mask.spacing, 1.0, atol=1e-6))


def _default_axes(mask: Header) -> bool:
    """Return whether the axes are those of an identity matrix in NIfTI (RAS) or ITK (LPS)."""
    direction = mask.matrix[:3, :3] / mask.spacing
    return any(np.allclose(direction, np.diag(way), atol=1e-6) for way in ((1, 1, 1), (-1, -1, 1)))
