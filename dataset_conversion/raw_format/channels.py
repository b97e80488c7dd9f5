"""Channel names for which nnU-Net silently chooses another normalisation than the values need.

nnU-Net takes its CT normalisation only for a channel named CT, in any letter case, and z-scores
of each image for every name that it does not know.
"""

from __future__ import annotations

from collections.abc import Sequence

from dataset_conversion.cases.intensities import Intensities

#: Names with a normalisation in nnU-Net 2, of nnunetv2.preprocessing.normalization.
KNOWN = frozenset(("ct", "nonorm", "zscore", "rescale_to_0_1", "rgb_to_0_1"))


def channel_warnings(names: Sequence[str], facts: Sequence[Intensities]) -> list[str]:
    """Return a warning for each channel with HU that nnU-Net would not take as CT.

    >>> import numpy as np
    >>> from dataset_conversion.cases.intensities import intensities
    >>> fact = intensities(np.linspace(-1000, 1000, 64, dtype=np.int16).reshape(4, 4, 4))
    >>> channel_warnings(["CT"], [fact])
    []
    >>> channel_warnings(["PT"], [fact])[0].partition(":")[0]
    'warning'

    `facts` are on the source's values of each channel.
    """
    return [
        f"warning: {misnamed(name)}"
        for name, fact in zip(names, facts, strict=False)
        if z_scored(name) and fact.hounsfield
    ]


def z_scored(name: str) -> bool:
    """Return whether nnU-Net takes z-scores for a channel because it does not know its name."""
    return name.casefold() not in KNOWN


def misnamed(name: str) -> str:
    """Return the text on a channel with HU that nnU-Net would not take as CT."""
    return (
        f"the values are those of CT (HU), but nnU-Net takes the channel name {name!r} for z-scores of "
        "each image: name the channel CT"
    )
