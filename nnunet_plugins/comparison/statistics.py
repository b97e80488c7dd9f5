"""Statistics for scores of the same cases: interval of a mean, paired test, its correction, effect size."""

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
#: Up to here the test goes through every sign of tied ranks: 2^13 of them.
EXACT_WITH_TIES = 13


@dataclass(frozen=True)
class Paired:
    """One run against another on the same cases.

    Attributes:
        n: pairs.
        wins: cases in which the run is better.
        ties: in which they are equal.
        losses: in which it is worse.
        effect: matched-pairs rank-biserial correlation; None without pairs.
        p: two-sided, Wilcoxon's signed-rank test; None without pairs.
        least_p: the smallest p that n pairs can give, 2 / 2^n.
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
        values: one a case.
        seed: equal seeds give equal intervals.

    Returns:
        low, high; None below two values. Equal values give themselves: resampling moves nothing.
    """
    data = np.asarray(values, dtype=np.float64)
    if data.size < 2:
        return None
    if np.ptp(data) == 0:
        return float(data[0]), float(data[0])
    with warnings.catch_warnings():
        # SciPy warns where the interval is degenerate; that is told by None.
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
        differences: one a case, positive where the run is better. An infinite one ranks above all others: a case
            in which one run has no value because it failed.
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

    W+ and W- are the sums of the ranks of the absolute differences, zeros left out, of the better and of the worse
    cases. 0 where all are equal.
    """
    data = np.asarray(differences, dtype=np.float64)
    data = _finite(data[data != 0])
    if not data.size:
        return 0.0
    ranks = stats.rankdata(np.abs(data))
    return float((ranks * np.sign(data)).sum() / ranks.sum())


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction (1979) of a family of tests; None is a test that was not made."""
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
    """The same signs and ranks without infinity."""
    infinite = np.isinf(data)
    if not infinite.any():
        return data
    above = 2 * np.abs(data[~infinite]).max(initial=1.0)
    return np.where(infinite, np.sign(data) * above, data)
