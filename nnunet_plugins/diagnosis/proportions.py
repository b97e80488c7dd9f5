"""Confidence intervals of a proportion k / n: Wilson's score interval and Wald's."""

from __future__ import annotations

import math

from scipy import stats

LEVEL = 0.95

Interval = tuple[float, float]


def wilson(k: int, n: int, level: float = LEVEL) -> Interval | None:
    """Score interval of k / n (Wilson 1927), without correction for continuity.

    Args:
        k: number of successes, from 0 to n.
        n: number of trials.
        level: confidence level, between 0 and 1.

    Returns:
        Lower and upper limit, within [0, 1]; None if n is 0.

    Raises:
        ValueError: k is not between 0 and n, or the level is not between 0 and 1.

    >>> low, high = wilson(54, 61)
    >>> round(low, 4), round(high, 4)
    (0.7816, 0.9433)
    """
    if n == 0 and k == 0:
        return None
    found = stats.binomtest(k, n).proportion_ci(level, method="wilson")
    return float(found.low), float(found.high)


def wald(k: int, n: int, level: float = LEVEL, *, total: int | None = None) -> Interval | None:
    """Normal approximation p ± z sqrt(p (1 - p) / n), as many papers print it; not cut at 0 and 1.

    It is too short for small n and for p near 0 or 1 (Brown, Cai and DasGupta 2001, doi 10.1214/ss/1009213286): use
    `wilson` for results.

    Args:
        k: number of successes.
        n: number of trials.
        level: confidence level.
        total: n below the root, if it is another number than that of the trials. Paper 002 takes that of all patients
            for shares of a part of them.

    Returns:
        Lower and upper limit; None if n is 0.

    >>> low, high = wald(78, 96)
    >>> round(100 * low, 2), round(100 * high, 2)
    (73.44, 89.06)
    """
    if n == 0:
        return None
    share = k / n
    half = stats.norm.isf((1 - level) / 2) * math.sqrt(share * (1 - share) / (total or n))
    return float(share - half), float(share + half)
