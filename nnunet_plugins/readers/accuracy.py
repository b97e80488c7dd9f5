"""Accuracy of each reader in each arm, with the covariance of its errors by the jackknife over cases."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def areas(ratings: Array, truth: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Areas below the empirical ROC curves (trapezoids; ties count one half).

    Args:
        ratings: (t, r, n), of each case by each reader in each arm; higher means more likely positive.
        truth: (n,), whether a case is positive; two or more of either kind.

    Returns:
        The areas (t, r) and the covariances of their errors (t, r, t, r): jackknife over all n cases.

    Raises:
        ValueError: fewer than two positive or negative cases; deleting one would leave no area.

    >>> ratings = np.array([[[1.0, 2.0, 2.0, 3.0]]])
    >>> areas(ratings, np.array([False, False, True, True]))[0].item()
    0.875
    """
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if min(positives, negatives) < 2:
        raise ValueError(
            f"areas: {positives} positive and {negatives} negative cases; two or more of each are needed"
        )
    high, low = ratings[..., truth], ratings[..., ~truth]
    wins = (high[..., :, None] > low[..., None, :]) + 0.5 * (
        high[..., :, None] == low[..., None, :]
    )
    values = wins.mean(axis=(-2, -1))
    # The area without a case follows from the mean comparisons of that case with those of the other kind.
    without = np.empty(ratings.shape)
    without[..., truth] = (positives * values[..., None] - wins.mean(axis=-1)) / (positives - 1)
    without[..., ~truth] = (negatives * values[..., None] - wins.mean(axis=-2)) / (negatives - 1)
    return values, _jackknife(without)


def means(scores: Array) -> tuple[Array, Array]:
    """Means over cases, e.g. of Dice, or of right calls among the positive cases (sensitivity).

    Args:
        scores: (t, r, n), n of at least 2.

    Returns:
        The means (t, r) and the covariances of their errors (t, r, t, r): the jackknife's, which are the sample
        covariances divided by n.

    Raises:
        ValueError: fewer than two cases.
    """
    n = scores.shape[-1]
    if n < 2:
        raise ValueError(f"means: {n} cases; two or more are needed")
    values = scores.mean(axis=-1)
    return values, _jackknife((n * values[..., None] - scores) / (n - 1))


def _jackknife(without: Array) -> Array:
    """Covariances (t, r, t, r) from the values (t, r, n) without each of the n cases."""
    n = without.shape[-1]
    centred = without - without.mean(axis=-1, keepdims=True)
    found: Array = (n - 1) / n * np.einsum("irn,jsn->irjs", centred, centred)
    return found
