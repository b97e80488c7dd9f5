"""Channel names for which nnU-Net silently chooses another normalisation than the values need.

nnU-Net takes its CT normalisation only for a channel named CT, in any letter case, and z-scores
of each image for every name that it does not know.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

#: Names with a normalisation in nnU-Net 2, of nnunetv2.preprocessing.normalization.
KNOWN = frozenset(("ct", "nonorm", "zscore", "rescale_to_0_1", "rgb_to_0_1"))
_AIR, _TISSUE = -900.0, -50.0  # HU
_SHARE = 0.01


def channel_warnings(names: Sequence[str], images: Sequence[sitk.Image]) -> list[str]:
    """Return a warning for each channel with HU that nnU-Net would not take as CT.

    >>> values = np.linspace(-1000, 1000, 64, dtype=np.int16).reshape(4, 4, 4)
    >>> image = sitk.GetImageFromArray(values)
    >>> channel_warnings(["CT"], [image])
    []
    >>> channel_warnings(["PT"], [image])[0].partition(":")[0]
    'warning'

    Args:
        names: channel names, as in dataset.json.
        images: one volume per channel, with the source's values.
    """
    return [
        f"warning: the values are those of CT (HU), but nnU-Net takes the channel name {name!r} for "
        "z-scores of each image: name the channel CT"
        for name, image in zip(names, images, strict=False)
        if name.casefold() not in KNOWN and hounsfield(sitk.GetArrayViewFromImage(image))
    ]


def hounsfield(array: np.ndarray) -> bool:
    """Check for HU: air near -1000, and tissue such as fat below -50, the lowest value left out.

    Padding of MRI, which has one value, is not taken for air.
    """
    lowest = array.min()
    low = np.count_nonzero((array < _TISSUE) & (array > lowest))
    return bool(lowest <= _AIR and low >= _SHARE * array.size)
