"""Area under the ROC curve, its interval, and the difference of two areas (DeLong, DeLong and Clarke-Pearson 1988).

The placements come from ranks (Sun and Xu 2014, doi 10.1109/LSP.2014.2337313). Ties count one half.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from nnunet_plugins.diagnosis.proportions import LEVEL, Interval

_NO_ERROR = 1e-9  # a standard error of rounding alone


@dataclass(frozen=True)
class Area:
    """Area under an ROC curve.

    Attributes:
        value: between 0 and 1; 0.5 for scores that do not depend on the label.
        error: standard error; 0 also if it is not known, because a class has one patient.
        interval: value ± z error, cut at 0 and 1; None if the error is 0, as with an area of 1.
    """

    value: float
    error: float
    interval: Interval | None


@dataclass(frozen=True)
class Difference:
    """Difference of two areas on the same patients.

    Attributes:
        value: area of the first score minus that of the second.
        error: standard error of the difference; 0 also if it is not known, because a class has one patient.
        interval: value ± z error; None if the error is 0.
        z: value / error; None if the error is 0.
        p: two-sided p-value; 1 if both areas are equal without error; None if only the error is 0.
    """

    value: float
    error: float
    interval: Interval | None
    z: float | None
    p: float | None


def area(labels: ArrayLike, scores: ArrayLike, level: float = LEVEL) -> Area:
    """Area under the ROC curve of a score.

    Args:
        labels: 1 for patients with the disease, 0 for others; (n,).
        scores: higher for patients with the disease; (n,).
        level: confidence level.

    Raises:
        ValueError: one class only, other labels than 0 and 1, scores that are not finite, or unequal numbers.

    >>> found = area([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> found.value
    0.75
    """
    (value,), covariance = _areas(labels, scores)
    error = math.sqrt(max(0.0, covariance[0, 0]))
    half = stats.norm.isf((1 - level) / 2) * error
    interval = (float(max(0.0, value - half)), float(min(1.0, value + half)))
    return Area(float(value), error, interval if error > _NO_ERROR else None)


def difference(
    labels: ArrayLike, first: ArrayLike, second: ArrayLike, level: float = LEVEL
) -> Difference:
    """Paired test of two scores of the same patients.

    Args:
        labels: 1 for patients with the disease, 0 for others; (n,).
        first: a score; (n,).
        second: another score; (n,).
        level: confidence level.

    Raises:
        ValueError: see `area`.
    """
    (one, other), covariance = _areas(labels, first, second)
    value = float(one - other)
    error = math.sqrt(max(0.0, covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]))
    if error <= _NO_ERROR:
        return Difference(value, 0.0, None, None, 1.0 if abs(value) <= _NO_ERROR else None)
    half = stats.norm.isf((1 - level) / 2) * error
    z = value / error
    interval = (float(value - half), float(value + half))
    return Difference(value, error, interval, z, float(2 * stats.norm.sf(abs(z))))


def _areas(
    labels: ArrayLike, *scores: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Areas (k,) of the scores, and their covariance (k, k)."""
    truth = np.asarray(labels)
    table = np.array([np.asarray(one, np.float64) for one in scores])
    if table.ndim != 2 or table.shape[1:] != truth.shape:
        raise ValueError(f"an ROC curve needs a score for each of {truth.size} labels")
    if set(np.unique(truth).tolist()) != {0, 1}:
        found = ", ".join(map(str, np.unique(truth)[:5]))
        raise ValueError(f"an ROC curve needs labels 0 and 1, both present; found {found}")
    if not np.isfinite(table).all():
        raise ValueError("an ROC curve needs finite scores")
    sick, well = table[:, truth == 1], table[:, truth == 0]
    m, n = sick.shape[1], well.shape[1]
    ranks = stats.rankdata(np.concatenate([sick, well], axis=1), axis=1)
    # Share of the other class that is on the right side of each patient.
    of_sick = (ranks[:, :m] - stats.rankdata(sick, axis=1)) / n
    of_well = 1 - (ranks[:, m:] - stats.rankdata(well, axis=1)) / m
    if min(m, n) < 2:  # the spread of one patient is not known
        return of_sick.mean(axis=1), np.zeros((len(table), len(table)))
    covariance = np.atleast_2d(np.cov(of_sick) / m + np.cov(of_well) / n)
    return of_sick.mean(axis=1), covariance
