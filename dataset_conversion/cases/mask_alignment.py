"""Place a mask on its image's grid, if both provably show the same part of the body.

Index and point order is (x, y, z) as in SimpleITK; arrays are (z, y, x). Points are in mm, LPS.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import affine, in_mm, like, orientation
from dataset_conversion.io.mask_header import OPTION, header_lost, may_be_lost, take_grid
from dataset_conversion.io.volumes import header_of
from dataset_conversion.labels import histogram

ALIGNED = 0.1  # voxels: tolerance for a corner relative to the other grid
VOLUME_CHANGE = 0.10  # how much a label may grow or shrink when resampled


def on_grid(mask: sitk.Image, image: sitk.Image, who: str, resample: bool = False, *,
            crop: bool = False, ignore_header: bool = False) -> tuple[sitk.Image, str | None]:  # fmt: skip
    """Place a label map on an image's grid; return it, and a note if it was on another grid.

    A mask that is a flipped, permuted or cropped part of the grid is copied voxel by voxel. A
    mask whose grid contains the image's grid is cropped to it if allowed. A mask on another grid
    inside the image (within one voxel) is resampled by nearest neighbour if allowed. A shifted
    mask with the size and spacing of the image is never resampled: its header must be wrong.

    Args:
        mask: label map.
        image: defines the grid.
        who: the source, for messages.
        resample: allow resampling.
        crop: allow cropping.
        ignore_header: if the header does not place the mask, take the image's grid for it; see
            `take_grid`.

    Raises:
        DatasetError: the two do not provably show the same part of the body, cropping leaves no
            label, resampling is not allowed, or it changes a label's volume by more than 10 %.
    """
    to_image = np.linalg.inv(affine(image)) @ affine(mask)
    steps = _integer_map(to_image, mask.GetSize(), image.GetSize())
    if steps is not None:
        return _copied(mask, image, steps), _reordered(mask, image, steps)
    if crop:
        steps = _integer_map(np.linalg.inv(to_image), image.GetSize(), mask.GetSize())
        if steps is not None:
            return _cropped(mask, image, steps, who)
    same_size = sorted(mask.GetSize()) == sorted(image.GetSize())
    if ignore_header and (same_size or not resample):
        note = take_grid(header_of(mask), header_of(image), who)
        return like(sitk.GetArrayViewFromImage(mask), image), note
    if _moved(mask, image) or not _inside(mask, image, to_image):
        raise DatasetError(_misaligned(mask, image, who))
    if not resample:
        raise DatasetError(
            f"{who}: the mask is on another grid than its image: size {_size(mask)} against "
            f"{_size(image)}, spacing {in_mm(mask.GetSpacing())} against {in_mm(image.GetSpacing())} "
            "mm; export it with the image as its reference geometry, or pass --resample-mask to "
            "resample it by nearest neighbour"
        )
    return _resampled(mask, image, who)


def is_part(
    matrix: np.ndarray, size: Sequence[int], other: np.ndarray, other_size: Sequence[int]
) -> bool:
    """Check whether a grid is a flipped, permuted or cropped part of another.

    >>> is_part(np.diag([-1, 1, 1, 1]), (1, 4, 4), np.eye(4), (8, 4, 4))
    True

    Args:
        matrix: 4 x 4 affine of the grid, index (x, y, z) to mm.
        size: number of voxels along x, y, z.
        other: affine of the other grid.
        other_size: number of voxels of the other grid.
    """
    return _integer_map(np.linalg.inv(other) @ matrix, size, other_size) is not None


def _integer_map(to_image: np.ndarray, size: Sequence[int],
                 limit: Sequence[int] | None) -> np.ndarray | None:  # fmt: skip
    """Return the index -> index matrix rounded to integers, None if it is not one or leaves `limit`."""
    steps: np.ndarray = np.round(to_image)
    corners = _corners(size, 0.0)
    moves = np.abs(steps[:3, :3])
    if not ((moves.sum(0) == 1).all() and (moves.sum(1) == 1).all()):
        return None
    if np.abs((to_image - steps)[:3] @ corners).max() > ALIGNED:
        return None
    if limit is None:
        return steps
    first, last = _range(steps @ corners)
    return steps if (first >= 0).all() and (last <= np.asarray(limit) - 1).all() else None


def _moved(mask: sitk.Image, image: sitk.Image) -> bool:
    """Return whether a mask of the image's size has a header that must be wrong."""
    if sorted(mask.GetSize()) != sorted(image.GetSize()):
        return False
    same = np.allclose(sorted(mask.GetSpacing()), sorted(image.GetSpacing()), rtol=2e-3)
    return bool(same) or header_lost(header_of(mask))


def _inside(mask: sitk.Image, image: sitk.Image, to_image: np.ndarray) -> bool:
    """Return whether a mask is inside its image, within one voxel."""
    first, last = _range(to_image @ _corners(mask.GetSize(), 0.5))
    return bool((first >= -1.5).all() and (last <= np.asarray(image.GetSize()) + 0.5).all())


def _corners(size: Sequence[int], margin: float) -> np.ndarray:
    """Return homogeneous indices (4, 8) of the corners, `margin` voxels beyond the centres."""
    ends = [(-margin, n - 1 + margin) for n in size]
    corners: np.ndarray = np.array(list(itertools.product(*ends, (1.0,)))).T
    return corners


def _range(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return points[:3].min(1), points[:3].max(1)


def _copied(mask: sitk.Image, image: sitk.Image, steps: np.ndarray) -> sitk.Image:
    """Copy a mask whose index -> index matrix is a signed permutation."""
    if mask.GetSize() == image.GetSize() and (steps == np.eye(4)).all():
        if (affine(mask) == affine(image)).all():
            return mask
        return like(sitk.GetArrayViewFromImage(mask), image)
    values = sitk.GetArrayViewFromImage(mask).T  # (x, y, z), the order of the matrix
    source = [int(np.abs(steps[axis, :3]).argmax()) for axis in range(3)]
    values = values.transpose(source)
    flips = tuple(axis for axis in range(3) if steps[axis, source[axis]] < 0)
    values = np.flip(values, flips)
    if values.shape == image.GetSize():
        return like(values.T, image)
    full = np.zeros(image.GetSize(), dtype=values.dtype)
    at = _range(steps @ _corners(mask.GetSize(), 0.0))[0].astype(int)
    full[tuple(slice(a, a + n) for a, n in zip(at, values.shape, strict=True))] = values
    return like(full.T, image)


def _cropped(mask: sitk.Image, image: sitk.Image, steps: np.ndarray,
             who: str) -> tuple[sitk.Image, str]:  # fmt: skip
    """Crop a mask to an image's grid; `steps` is the index -> index matrix from image to mask."""
    first, last = (ends.astype(int) for ends in _range(steps @ _corners(image.GetSize(), 0.0)))
    part = mask[tuple(slice(int(a), int(b) + 1) for a, b in zip(first, last, strict=True))]
    before = histogram(sitk.GetArrayViewFromImage(mask))
    after = histogram(sitk.GetArrayViewFromImage(part))
    total = {value: count for value, count in before.items() if value != 0}
    cut = {v: n - after.get(v, 0) for v, n in total.items() if n > after.get(v, 0)}
    if total and cut == total:
        raise DatasetError(
            f"{who}: the mask's grid contains the image's grid, but all {sum(cut.values())} label voxels "
            f"(values {', '.join(map(str, cut))}) are outside the image; does the mask belong to this "
            "image? Export it with the image as its reference geometry"
        )
    offset = np.eye(4)
    offset[:3, 3] = first
    inside = np.round(np.linalg.inv(steps) @ offset)
    lost = [f"{count} of {total[value]} with value {value}" for value, count in cut.items()]
    return _copied(part, image, inside), (
        f"mask cropped to the image's grid, {_size(part)} of {_size(mask)} voxels; label voxels cut "
        f"off outside the image: {', '.join(lost) or 'none'}"
    )


def _reordered(mask: sitk.Image, image: sitk.Image, steps: np.ndarray) -> str | None:
    differences = []
    if (steps[:3, :3] != np.eye(3)).any():
        differences.append(f"its axes run {orientation(mask)}, the image's {orientation(image)}")
    if int(np.prod(mask.GetSize())) != int(np.prod(image.GetSize())):
        differences.append(f"it covers {_size(mask)} voxels of {_size(image)}")
    return (
        f"mask copied voxel by voxel to the image's grid: {', '.join(differences)}"
        if differences
        else None
    )


def _resampled(mask: sitk.Image, image: sitk.Image, who: str) -> tuple[sitk.Image, str]:
    """Resample by nearest neighbour; compare the volume of each label before and after."""
    result = sitk.Resample(mask, image, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    before, after = _volumes(mask), _volumes(result)
    changed = [
        f"label {value}: {volume:.0f} -> {after.get(value, 0.0):.0f} mm3"
        for value, volume in before.items()
        if abs(after.get(value, 0.0) - volume) > VOLUME_CHANGE * volume
    ]
    if changed:
        raise DatasetError(
            f"{who}: resampling to the image's grid changes a label's volume by more than 10 % "
            f"({'; '.join(changed)}); export the mask in the image's own geometry"
        )
    return like(sitk.GetArrayFromImage(result), image), (
        f"mask resampled (nearest) from {in_mm(mask.GetSpacing())} mm to the image's "
        f"{in_mm(image.GetSpacing())} mm grid"
    )


def _volumes(mask: sitk.Image) -> dict[int, float]:
    """Return the volume of each label in mm3, without background."""
    values, counts = np.unique(sitk.GetArrayViewFromImage(mask), return_counts=True)
    voxel = float(np.prod(mask.GetSpacing()))
    return {int(v): int(n) * voxel for v, n in zip(values, counts, strict=True) if v != 0}


def _misaligned(mask: sitk.Image, image: sitk.Image, who: str) -> str:
    """Describe how a mask and an image differ: offset, size, spacing."""

    def middle(volume: sitk.Image) -> np.ndarray:
        centre: np.ndarray = affine(volume) @ (*((np.asarray(volume.GetSize()) - 1) / 2), 1.0)
        return centre[:3]

    offset = middle(mask) - middle(image)
    text = (
        f"{who}: the mask is not aligned with its image: the centres are {np.linalg.norm(offset):.1f} mm "
        f"apart ({in_mm(offset)} mm in x, y, z LPS); size {_size(mask)} against {_size(image)}, "
        f"spacing {in_mm(mask.GetSpacing())} against {in_mm(image.GetSpacing())} mm. "
        f"{_extent(mask, image)}Export the mask with this image as its reference geometry"
    )
    if mask.GetSize() != image.GetSize():
        return text
    if not may_be_lost(header_of(mask), header_of(image)):
        return f"{text}, or choose the series that it was drawn on"
    return (
        f"{text}, or pass {OPTION} if it has the voxels of this image and only its header is wrong"
    )


def _extent(mask: sitk.Image, image: sitk.Image) -> str:
    """Describe which of the image's voxels a mask covers, if the two grids share their voxels."""
    to_image = np.linalg.inv(affine(image)) @ affine(mask)
    steps = _integer_map(to_image, mask.GetSize(), None)
    if steps is None or mask.GetSize() == image.GetSize():
        return ""
    ends = zip(*_range(steps @ _corners(mask.GetSize(), 0.0)), image.GetSize(), strict=True)
    covered = [f"{a:.0f} to {b:.0f} of 0 to {n - 1}" for a, b, n in ends]
    return f"In the image's voxels it covers {', '.join(covered)} along x, y, z: neither contains the other. "


def _size(image: sitk.Image) -> str:
    return "x".join(str(n) for n in image.GetSize())
