"""Border padding of -1000 in MRI: set to 0, since nnU-Net crops and masks voxels of 0."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from dataset_conversion.io.geometry import like

PADDING = -1000
_OFFSET_SHARE = (
    0.01  # share of the other voxels below 0 above which all values are taken as 1000 too low
)


def without_padding(image: sitk.Image) -> tuple[sitk.Image, str | None]:
    """Set a border of -1000 to 0 and keep all other values; return the image and a note.

    If more than 1 % of the other voxels are negative too, the series was stored with an offset of
    -1000: then 1000 is added to all values, which also sets the border to 0.

    >>> array = np.full((3, 3, 3), 7, np.int16)
    >>> array[:, :, 0] = -1000
    >>> image, note = without_padding(sitk.GetImageFromArray(array))
    >>> note, image[0, 0, 0], image[1, 1, 1]
    ('border padding of -1000 set to 0', 0, 7)
    """
    array = sitk.GetArrayViewFromImage(image)
    if array.min() != PADDING or not _on_border(array == PADDING):
        return image, None
    values = array.astype(np.int32) if array.dtype.kind in "iu" else array.astype(np.float32)
    padding = values == PADDING
    rest = values.size - np.count_nonzero(padding)
    below = np.count_nonzero(values < 0) - (values.size - rest)
    if below > _OFFSET_SHARE * rest:
        values -= PADDING
        note = "stored with an offset of -1000: 1000 added, so that air and padding are 0"
    else:
        values[padding] = 0
        note = "border padding of -1000 set to 0"
    fits = values.dtype.kind == "i" and values.max() < 32768
    return like(values.astype(np.int16) if fits else values, image), note


def _on_border(found: np.ndarray) -> bool:
    return any(found.take(end, axis).any() for axis in range(3) for end in (0, -1))
