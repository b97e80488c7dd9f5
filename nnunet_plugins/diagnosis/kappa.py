"""Cohen's kappa (1960) of two raters, with its interval (Fleiss, Cohen and Everitt 1969)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from nnunet_plugins.diagnosis.proportions import LEVEL, Interval
from nnunet_plugins.optional_imports import need

_NO_ERROR = 1e-6  # a standard error of rounding alone


@dataclass(frozen=True)
class Kappa:
    """Agreement beyond chance.

    Attributes:
        value: (p_o - p_e) / (1 - p_e), from -1 to 1; None if both raters give all cases one and the same category, or
            without cases.
        interval: large-sample interval, cut at -1 and 1; None without a value and where the variance is 0.
    """

    value: float | None
    interval: Interval | None


def cohen_kappa(a: Sequence[Hashable], b: Sequence[Hashable], level: float = LEVEL) -> Kappa:
    """Unweighted kappa of two raters of the same cases.

    Args:
        a: category of each case by the first rater.
        b: by the second rater, in the same order.
        level: confidence level of the interval.

    Raises:
        ValueError: the raters have different numbers of cases.
        UserError: statsmodels is not installed.

    >>> found = cohen_kappa([1, 1, 1, 0, 0, 0], [1, 1, 0, 0, 0, 1])
    >>> round(found.value, 3)
    0.333
    """
    if len(a) != len(b):
        raise ValueError(f"kappa needs two categories for each case; found {len(a)} and {len(b)}")
    places = {category: place for place, category in enumerate(dict.fromkeys((*a, *b)))}
    if len(places) < 2:
        return Kappa(None, None)
    table = np.zeros((len(places), len(places)))
    for first, second in zip(a, b, strict=True):
        table[places[first], places[second]] += 1
    inter_rater = need("statsmodels.stats.inter_rater", "classify", "Cohen's kappa")
    found = inter_rater.cohens_kappa(table)
    value, error = float(found.kappa), float(found.std_kappa)
    if not error > _NO_ERROR:
        return Kappa(value, None)
    half = stats.norm.isf((1 - level) / 2) * error
    return Kappa(value, (float(max(-1.0, value - half)), float(min(1.0, value + half))))
