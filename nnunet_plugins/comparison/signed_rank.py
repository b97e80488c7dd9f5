"""Wilcoxon's signed-rank test (1945): exact, with ties, for up to `EXACT_UP_TO` differences."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Method = Literal["exact", "normal approximation"]

#: Up to this number of differences that are not zero, the distribution of the rank sum is computed.
EXACT_UP_TO = 200
_DIGITS = 12  # of the largest difference: differences that are equal except for rounding are ties


def signed_rank(differences: NDArray[np.float64]) -> tuple[float, Method]:
    """Two-sided p-value of differences that are finite and not zero, and how it was computed.

    The exact distribution is that of the rank sum over all 2^n signs, given the ranks; ties have the mean of their
    ranks. More than `EXACT_UP_TO` differences use the normal approximation with correction for ties.

    >>> signed_rank(np.array([1.0, 1.0, 2.0, -3.0]))  # for 6 of the 16 signs, W- is at most 4
    (0.75, 'exact')
    >>> signed_rank(np.arange(1.0, 11.0))
    (0.001953125, 'exact')
    """
    if not differences.size:
        return 1.0, "exact"
    if differences.size > EXACT_UP_TO:
        return float(stats.wilcoxon(differences).pvalue), "normal approximation"
    twice = np.rint(2 * ranks(differences)).astype(np.int64)  # a mean of ranks may be a half
    chances = _rank_sum(twice)
    found = int(twice[differences > 0].sum())
    below, above = chances[: found + 1].sum(), chances[found:].sum()
    return min(1.0, 2 * float(min(below, above))), "exact"


def ranks(differences: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks of the absolute differences, the mean of the ranks for ties.

    >>> ranks(np.array([0.9 - 0.8, 0.8 - 0.7, -0.5])).tolist()
    [1.5, 1.5, 3.0]
    """
    sizes = np.abs(differences)
    found: NDArray[np.float64] = stats.rankdata(np.round(sizes / sizes.max(initial=0.0), _DIGITS))
    return found


def _rank_sum(values: NDArray[np.int64]) -> NDArray[np.float64]:
    """Probability of each sum, 0 to the sum of all, if every value is in it with a probability of one half."""
    chances = np.zeros(int(values.sum()) + 1)
    chances[0] = 1.0
    end = 1
    for value in values:
        end += int(value)
        shifted = chances[: end - value].copy()
        chances[:end] *= 0.5
        chances[value:end] += 0.5 * shifted
    return chances
