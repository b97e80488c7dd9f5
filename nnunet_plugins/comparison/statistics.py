"""Statistics of paired scores: interval of a mean, paired test, correction for many tests, effect size."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

RESAMPLES = 9999
LEVEL = 0.95
#: Up to this number of pairs the test enumerates all signs of tied ranks (2^13).
EXACT_WITH_TIES = 13


@dataclass(frozen=True)
class Paired:
    """Comparison of a run with another one on the same cases.

    Attributes:
        n: number of pairs.
        wins: cases in which the run is better.
        ties: cases in which both are equal.
        losses: cases in which the run is worse.
        effect: matched-pairs rank-biserial correlation; None without pairs.
        p: two-sided p-value of Wilcoxon's signed-rank test; None without pairs.
        least_p: the smallest p-value that n pairs can give, 2 / 2^n.
    """

    n: int
    wins: int
    ties: int
    losses: int
    effect: float | None
    p: float | None
    least_p: float


def interval(values: Sequence[float], *, seed: int = 0) -> tuple[float, float] | None:
    """95 % confidence interval of the mean: bootstrap, bias-corrected and accelerated (Efron 1987).

    Args:
        values: one per case.
        seed: equal seeds give equal intervals.

    Returns:
        Lower and upper limit; None below two values. Equal values give an interval of length 0.

    >>> low, high = interval([0.91, 0.88, 0.93, 0.85, 0.90])
    >>> low < 0.894 < high
    True
    """
    data = np.asarray(values, dtype=np.float64)
    if data.size < 2:
        return None
    if np.ptp(data) == 0:
        return float(data[0]), float(data[0])
    with warnings.catch_warnings():
        # SciPy warns about degenerate intervals; here they are None.
        warnings.simplefilter("ignore")
        found = stats.bootstrap(
            (data,),
            np.mean,
            n_resamples=RESAMPLES,
            batch=max(1, 10_000_000 // data.size),
            confidence_level=LEVEL,
            method="BCa",
            rng=np.random.default_rng(seed),
        ).confidence_interval
    low, high = float(found.low), float(found.high)
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def paired(differences: Sequence[float]) -> Paired:
    """Test whether a run differs from another: Wilcoxon's signed-rank test (1945), zeros left out.

    Args:
        differences: one per case, positive if the run is better. Infinite differences, of cases in which one run
            failed and has no value, have the highest rank.

    >>> result = paired([0.02, 0.05, 0.01, -0.03, 0.04, 0.06])
    >>> result.wins, result.losses, round(result.effect, 2), round(result.p, 3)
    (5, 1, 0.71, 0.156)
    """
    data = np.asarray(differences, dtype=np.float64)
    wins, losses = int((data > 0).sum()), int((data < 0).sum())
    moved = _finite(data[data != 0])
    return Paired(
        n=data.size,
        wins=wins,
        ties=data.size - wins - losses,
        losses=losses,
        effect=rank_biserial(data) if data.size else None,
        p=_wilcoxon(moved) if data.size else None,
        least_p=min(1.0, 2.0 ** (1 - data.size)),
    )


def rank_biserial(differences: Sequence[float] | NDArray[np.float64]) -> float:
    """Matched-pairs rank-biserial correlation (Kerby 2014): (W+ - W-) / (W+ + W-), from -1 to 1.

    W+ and W- are the sums of the ranks of the absolute differences of the better and the worse cases, zeros left out.
    The result is 0 if all differences are 0.

    >>> rank_biserial([1, 2, -3])
    0.0
    """
    data = np.asarray(differences, dtype=np.float64)
    data = _finite(data[data != 0])
    if not data.size:
        return 0.0
    ranks = stats.rankdata(np.abs(data))
    return float((ranks * np.sign(data)).sum() / ranks.sum())


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction (1979) of the p-values of several tests; None represents no test.

    >>> holm([0.01, 0.04, None])
    [0.02, 0.04, None]
    """
    order = sorted((p, place) for place, p in enumerate(ps) if p is not None)
    corrected: list[float | None] = [None] * len(ps)
    highest = 0.0
    for rank, (p, place) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p))
        corrected[place] = highest
    return corrected


def _wilcoxon(moved: NDArray[np.float64]) -> float:
    if not moved.size:
        return 1.0
    tied = np.unique(np.abs(moved)).size < moved.size
    method = stats.PermutationMethod() if tied and moved.size <= EXACT_WITH_TIES else "auto"
    return float(stats.wilcoxon(moved, method=method).pvalue)


def _finite(data: NDArray[np.float64]) -> NDArray[np.float64]:
    """Finite values with the same signs and ranks."""
    infinite = np.isinf(data)
    if not infinite.any():
        return data
    above = 2 * np.abs(data[~infinite]).max(initial=1.0)
    return np.where(infinite, np.sign(data) * above, data)
