"""Names of the channels of the logits, for weights per class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def channel_names(dataset: Mapping[str, Any], *, regions: bool) -> list[str]:
    """Names of the labels in the order of the channels, the background included; or of the regions.

    Of several names of one label it is the first.

    Args:
        dataset: content of dataset.json.
        regions: whether it has regions; then the background has no channel.

    >>> channel_names({"labels": {"background": 0, "disc": 2, "bone": 1, "ignore": 3}}, regions=False)
    ['background', 'bone', 'disc']
    >>> channel_names({"labels": {"background": 0, "bone": 1, "os": 1}}, regions=False)
    ['background', 'bone']
    >>> labels = {"background": 0, "spine": [1, 2], "disc": 2}
    >>> channel_names({"labels": labels}, regions=True)
    ['spine', 'disc']
    """
    labels = dataset["labels"]
    if regions:
        return [name for name in labels if name != "ignore" and labels[name] not in (0, [0], (0,))]
    kept = {tuple(np.ravel(labels[name])): name for name in reversed(labels) if name != "ignore"}
    return [kept[value] for value in sorted(kept)]
