"""Bring a prediction back to the grid of the image that it was made from."""

from __future__ import annotations

import itertools

import numpy as np
import SimpleITK as sitk

from dataset_conversion.cases.mask_alignment import is_part, on_grid
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import in_mm, place
from dataset_conversion.io.volumes import Header, header_of

_EDGE = 0.6  # of the larger voxel: how far an outer edge moves when a size in voxels is rounded
_ASKEW = 0.02  # share of an axis along another one


def exact(prediction: Header, image: Header) -> bool:
    """Whether every voxel of a prediction is one of the image's, whatever the order of the axes."""
    return is_part(prediction.matrix, prediction.size, image.matrix, image.size)


def resampled(prediction: Header, image: Header) -> bool:
    """Whether a prediction covers the image with voxels of another size, as after `convert --spacing`."""
    to_image = np.linalg.inv(image.matrix) @ prediction.matrix
    steps = np.abs(to_image[:3, :3])
    main = steps.argmax(axis=0)
    if sorted(main) != [0, 1, 2]:
        return False
    ratio = np.array([steps[axis].max() for axis in range(3)])
    aside = steps.copy()
    aside[main, range(3)] = 0
    if (aside.max(axis=1) > _ASKEW * ratio).any():
        return False
    ends = [(-0.5, n - 0.5) for n in prediction.size]
    corners = to_image @ np.array([*zip(*itertools.product(*ends, (1.0,)), strict=True)])
    allowed = _EDGE * np.maximum(ratio, 1)
    low = np.abs(corners[:3].min(axis=1) + 0.5) <= allowed
    high = np.abs(corners[:3].max(axis=1) - (np.array(image.size) - 0.5)) <= allowed
    return bool(low.all() and high.all())


def on_own_grid(prediction: sitk.Image, image: Header, who: str, *,
                smooth: bool = False) -> tuple[sitk.Image, str | None]:  # fmt: skip
    """Return a label map on an image's grid, and a note unless it has the same voxels.

    Voxels are copied where the grids are the same up to the order and direction of the axes; otherwise the nearest
    voxel is taken, or values are interpolated linearly.

    Args:
        prediction: label map, LPS mm.
        image: size and geometry of the image.
        who: the case, for messages.
        smooth: whether it holds values that may be interpolated, such as probabilities, in place of labels.

    Raises:
        DatasetError: the prediction does not cover the image.
    """
    grid = place(np.zeros(image.size[::-1], np.uint8), image.matrix)
    found = header_of(prediction)
    if exact(found, image):
        placed, _ = on_grid(prediction, grid, who)
        whole = found.voxels == image.voxels
        return placed, None if whole else "the prediction covers a part of its image; 0 elsewhere"
    if not resampled(found, image):
        raise DatasetError(mismatch(found, image, who))
    way, how = (
        (sitk.sitkLinear, "linear interpolation")
        if smooth
        else (sitk.sitkNearestNeighbor, "nearest neighbour")
    )
    near = sitk.Resample(
        prediction, grid, sitk.Transform(), way, 0, prediction.GetPixelID(), True
    )  # fmt: skip
    return near, (
        f"resampled from {in_mm(found.spacing)} mm to the image's {in_mm(image.spacing)} mm by {how}"
    )


def mismatch(prediction: Header, image: Header, who: str) -> str:
    """Describe a prediction and an image that do not show the same volume."""
    first, second = (
        header.matrix @ (*(np.array(header.size) - 1) / 2, 1) for header in (prediction, image)
    )
    return (
        f"{who}: the prediction is not on the grid of its image: size {_size(prediction)} against {_size(image)}, "
        f"spacing {in_mm(prediction.spacing)} against {in_mm(image.spacing)} mm, centres "
        f"{np.linalg.norm((first - second)[:3]):.1f} mm apart"
    )


def _size(header: Header) -> str:
    return "x".join(map(str, header.size))
