"""Decision curve (Vickers and Elkin 2006, doi 10.1177/0272989X06295361): net benefit by threshold probability."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def net_benefit(
    labels: ArrayLike, probabilities: ArrayLike, thresholds: ArrayLike
) -> NDArray[np.float64]:
    """TP / n - FP / n * t / (1 - t) for each threshold t; probabilities of at least t are treated.

    Treating all patients is the net benefit of probabilities of 1; treating none is 0.

    Args:
        labels: 1 with the disease, 0 without; (n,).
        probabilities: (n,).
        thresholds: between 0 and 1, without 1; (k,).

    >>> net_benefit([1, 0, 0, 0], [0.9, 0.6, 0.2, 0.1], [0.5]).tolist()
    [0.0]
    """
    truth = np.asarray(labels)[:, None] == 1
    t = np.asarray(thresholds, np.float64)
    treated = np.asarray(probabilities, np.float64)[:, None] >= t
    true, false = (treated & truth).mean(axis=0), (treated & ~truth).mean(axis=0)
    found: NDArray[np.float64] = true - false * t / (1 - t)
    return found
