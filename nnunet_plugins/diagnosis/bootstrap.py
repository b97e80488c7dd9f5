"""Stratified bootstrap: intervals of statistics of labels and scores, the numbers of both classes kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnunet_plugins.diagnosis.proportions import LEVEL, Interval

RESAMPLES = 2000
Statistics = Callable[[NDArray[np.intp]], Mapping[str, float | None]]


def stratified(
    labels: ArrayLike,
    statistics: Statistics,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    seed: int = 0,
) -> dict[str, Interval | None]:
    """Percentile intervals (Efron 1979) of several statistics from the same resamples.

    Args:
        labels: 0 or 1 for each patient; patients are drawn within each class; (n,).
        statistics: from the indices of the drawn patients, (n,), to name -> value.
        resamples: their number.
        level: confidence level.
        seed: equal seeds give equal intervals.

    Returns:
        Name -> lower and upper limit; None if a statistic has no value in more than 5 % of the resamples, or if a
        class has one patient, whose spread is not known. Resamples in which it has none are left out.

    >>> values = np.array([1.0, 2.0, 10.0, 10.0])
    >>> stratified([0, 0, 1, 1], lambda drawn: {"max": values[drawn].max()})
    {'max': (10.0, 10.0)}
    """
    truth = np.asarray(labels)
    classes = [np.flatnonzero(truth == one) for one in np.unique(truth)]
    random = np.random.default_rng(seed)
    found: dict[str, list[float]] = {}
    for _ in range(resamples):
        drawn = np.concatenate([random.choice(one, one.size) for one in classes])
        for name, value in statistics(drawn).items():
            values = found.setdefault(name, [])
            if value is not None and np.isfinite(value):
                values.append(value)
    tails = ((1 - level) / 2, (1 + level) / 2)
    intervals: dict[str, Interval | None] = {}
    for name, values in found.items():
        enough = len(values) >= 0.95 * resamples and min(one.size for one in classes) > 1
        low, high = np.quantile(values, tails) if enough else (0.0, 0.0)
        intervals[name] = (float(low), float(high)) if enough else None
    return intervals
