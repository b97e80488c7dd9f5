"""Names of the channels of the logits, for weights per class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def channel_names(dataset: Mapping[str, Any], *, regions: bool) -> list[str]:
    """Names of the labels in the order of the channels, the background included; or of the regions.

    Args:
        dataset: content of dataset.json.
        regions: whether it has regions; then there is no channel for the background.

    >>> channel_names({"labels": {"background": 0, "disc": 2, "bone": 1, "ignore": 3}}, regions=False)
    ['background', 'bone', 'disc']
    >>> labels = {"background": 0, "spine": [1, 2], "disc": 2}
    >>> channel_names({"labels": labels}, regions=True)
    ['spine', 'disc']
    """
    labels = dataset["labels"]
    if regions:
        return [name for name in labels if name != "ignore" and labels[name] not in (0, [0], (0,))]
    kept = [name for name in labels if name != "ignore"]
    return sorted(kept, key=lambda name: np.ravel(labels[name]).tolist())
