"""Read a mask that was exported as a DICOM series of its own, as Mimics does.

Such a series holds a label map, one structure in two values, or a masked image: the structure's
voxels of the image and one value everywhere else.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from dataset_conversion.dicom.pixels import read_pixels
from dataset_conversion.dicom.series import Series
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import like
from dataset_conversion.io.label_maps import MOST_VALUES, LabelMap
from dataset_conversion.io.segments import Reading


def read_label_stack(series: Series, name: str, how: Reading, who: str) -> LabelMap:
    """Read a series as a mask.

    `name` is the structure that a mask of two values shows, "" if unknown. `how.outside` accepts a masked
    image.

    Returns:
        For one structure value 1, with its name if known; otherwise the stored values.

    Raises:
        DatasetError: neither labels nor one structure.
    """
    image = read_pixels(series.slices, series.affine, who)  # with padding as stored
    array = sitk.GetArrayViewFromImage(image)
    if how.outside is not None:
        return _structure(array != how.outside, image, name)
    values = np.unique(array)
    if len(values) <= 2:
        # One value only: all background, if it is the lowest that can be stored.
        lowest = values[0] if len(values) == 2 else min(values[0], series.slices[0].offset, 0)
        return _structure(array > lowest, image, name)
    stored = (array - np.float32(series.slices[0].offset)) / np.float32(series.slices[0].slope)
    if not is_label_stack(stored, values):
        usual = _most_frequent(array)
        raise DatasetError(
            f"{who}: named as a mask, but holds {len(values)} values from {values[0]:g} to {values[-1]:g}; "
            f"if it is an image with the value {usual:g} outside the structure, pass --mask-outside "
            f"{usual:g} to take all other voxels as the structure; if it is not a mask, change "
            "--mask-pattern"
        )
    return LabelMap(like(stored.astype(np.uint16), image), None)


def is_label_stack(stored: np.ndarray, values: np.ndarray) -> bool:
    """Return whether stored values are few integers that begin at 0."""
    whole = bool((stored == np.rint(stored)).all())
    return whole and len(values) <= MOST_VALUES and stored.min() == 0 and stored.max() < 2**16


def looks_binary(series: Series, who: str) -> bool:
    """Return whether a series holds exactly two values."""
    image = read_pixels(series.slices, series.affine, who)  # a view does not keep it alive
    return len(np.unique(sitk.GetArrayViewFromImage(image))) == 2


def _structure(voxels: np.ndarray, image: sitk.Image, name: str) -> LabelMap:
    return LabelMap(like(voxels.astype(np.uint8), image), {name: 1} if name else None)


def _most_frequent(array: np.ndarray) -> float:
    values, counts = np.unique(array, return_counts=True)
    return float(values[counts.argmax()])
