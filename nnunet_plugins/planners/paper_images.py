"""Voxel size, axes, patch and normalisation of a paper for the images of a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnunet_plugins.papers.recipe import Recipe

_CT, _NONE = "CTNormalization", "NoNormalization"


def slice_axis(fingerprint: Mapping[str, Any]) -> int:
    """The axis across slices: the two others are most alike in voxel size, then in size.

    nnU-Net takes the axis of the largest spacing, which after scaling to a paper's matrix is one within the slices.

    >>> slice_axis({"spacings": [[0.6, 0.74, 0.74]], "shapes_after_crop": [[90, 512, 512]]})
    0

    Args:
        fingerprint: nnU-Net's; ``spacings`` and ``shapes_after_crop`` of each case in the order of the array.
    """
    spacings, shapes = (np.array(fingerprint[k], float) for k in ("spacings", "shapes_after_crop"))

    def unlike(axis: int) -> tuple[float, float, float]:
        b, c = (a for a in range(3) if a != axis)
        size, shape = (float(np.abs(np.log(x[:, b] / x[:, c])).mean()) for x in (spacings, shapes))
        return round(size, 3), round(shape, 3), -float(spacings[:, axis].mean())

    return min(range(3), key=unlike)


def target_spacing(
    recipe: Recipe, fingerprint: Mapping[str, Any], native: Sequence[float]
) -> np.ndarray:
    """The paper's voxel size in mm, in the order of the array; nnU-Net's ``native`` one where no number is printed.

    A matrix is that of the median slice: its extent along each axis divided by the number of pixels.
    """
    spacing = np.array(native, float)
    axis = slice_axis(fingerprint)
    others = [a for a in range(3) if a != axis]
    if recipe.spacing is not None:
        spacing[[axis, *others]] = recipe.spacing
    if recipe.matrix is not None:
        extents = np.array(fingerprint["spacings"]) * np.array(fingerprint["shapes_after_crop"])
        spacing[others] = np.median(extents, 0)[others] / recipe.matrix
    return spacing


def paper_patch(recipe: Recipe, median_shape: Sequence[float]) -> list[int]:
    """The paper's patch with the longer of its two axes within the slice along that of the median image.

    >>> recipe = Recipe("key", {}, 2, "", cases=1, patch=(464, 880))
    >>> paper_patch(recipe, (880, 464)), paper_patch(recipe, (400, 800))
    ([880, 464], [464, 880])
    """
    *first, height, width = recipe.patch
    tall = median_shape[-2] > median_shape[-1]
    if (height > width) != tall and height != width:
        height, width = width, height
    return [*first, height, width]


def paper_schemes(recipe: Recipe, native: Sequence[str]) -> list[str]:
    """nnU-Net's normalisation of each channel; images that `convert` has normalised (noNorm) are left as they are.

    >>> recipe = Recipe("key", {}, 1, "", cases=1, patch=(8, 8), scheme="ZScoreNormalization")
    >>> paper_schemes(recipe, ["CTNormalization", "NoNormalization"])
    ['ZScoreNormalization', 'NoNormalization']
    """
    return [one if one == _NONE else recipe.scheme for one in native]


def windowed(
    recipe: Recipe, schemes: Sequence[str], properties: Mapping[str, Any]
) -> dict[str, Any]:
    """Intensity properties with which CTNormalization clips to the window and maps it to 0..1.

    It clips to the percentiles, subtracts the mean and divides by the standard deviation.
    """
    if recipe.window is None:
        return dict(properties)
    low, high = recipe.window
    window = {"percentile_00_5": low, "percentile_99_5": high, "mean": low, "std": high - low}
    return {
        channel: {**entry, **window} if schemes[int(channel)] == _CT else entry
        for channel, entry in properties.items()
    }
