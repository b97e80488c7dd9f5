"""McNemar's test (1947) of two calls for the same patients.

Only the discordant pairs count: b patients are right in the first call only, c in the second call only.
"""

from __future__ import annotations

from scipy import stats


def exact(b: int, c: int) -> float:
    """Two-sided p-value of the exact test: b of b + c with a probability of one half.

    Returns:
        1 without discordant pairs.

    >>> exact(1, 8)
    0.0390625
    """
    return float(stats.binomtest(b, b + c, 0.5).pvalue) if b + c else 1.0


def chi_square(b: int, c: int, *, continuity: bool = True) -> tuple[float, float]:
    """Statistic and p-value of the chi-square approximation, one degree of freedom.

    Args:
        b: patients whose first call alone is right.
        c: patients whose second call alone is right.
        continuity: Edwards' correction (1948), (|b - c| - 1)^2 / (b + c); without it, (b - c)^2 / (b + c).

    Returns:
        0 and 1 without discordant pairs. Below 25 of them, use `exact`.

    >>> statistic, p = chi_square(121, 59)
    >>> round(statistic, 2)
    20.67
    """
    if not b + c:
        return 0.0, 1.0
    difference = max(0.0, abs(b - c) - (1.0 if continuity else 0.0))
    statistic = difference**2 / (b + c)
    return statistic, float(stats.chi2.sf(statistic, 1))
