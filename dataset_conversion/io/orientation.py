"""Store a volume in the orientation that a dataset or a trained model declares."""

from __future__ import annotations

import SimpleITK as sitk

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import oriented

_PAIRS = ("AP", "IS", "LR")


def oriented_to(image: sitk.Image, orientation: str) -> sitk.Image:
    """Flip and permute the axes to an orientation; nothing is resampled.

    Args:
        image: the volume.
        orientation: ITK's code of the directions of x, y and z, such as LPS.

    Raises:
        DatasetError: not such a code.

    >>> oriented_to(sitk.Image(4, 5, 6, sitk.sitkInt16), "PIR").GetSize()
    (5, 6, 4)
    """
    axes = [next((pair for pair in _PAIRS if letter in pair), "") for letter in orientation]
    if tuple(sorted(axes)) != _PAIRS:
        raise DatasetError(
            f"orientation {orientation!r}: allowed are three letters, one each of L or R, A or P and I or S, such as "
            "LPS"
        )
    return oriented(image, orientation)
