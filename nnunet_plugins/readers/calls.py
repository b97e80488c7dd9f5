"""Calls: sensitivity, specificity and accuracy of each reader and arm, alone against assisted, and agreement."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from scipy import stats

from nnunet_plugins.diagnosis.kappa import cohen_kappa
from nnunet_plugins.diagnosis.mcnemar import exact
from nnunet_plugins.diagnosis.proportions import LEVEL, Interval, wilson
from nnunet_plugins.readers.findings import GAIN, SHARES, Finding, corrected
from nnunet_plugins.readers.reads import ALONE, ASSISTED, Reads

#: Measures whose denominator does not depend on the calls: their calls are paired.
PAIRED = SHARES[:3]
CALLS, GAINS, AGREEMENT = "calls", "calls, alone against assisted", "agreement"


def of_calls(reads: Reads) -> list[Finding]:
    """The measures of each reader and arm, with Wilson's intervals, and kappa with the truth."""
    found = []
    for reader in reads.readers:
        for arm in reads.arms:
            calls = reads.calls(reader, arm)
            if not calls:
                continue
            for measure in SHARES:
                right = _of(measure, calls, reads.truth)
                found.append(_proportion(measure, reader, arm, right))
            found.append(_kappa(CALLS, reader, f"{arm} and truth", calls, reads.truth))
    return found


def of_gains(reads: Reads) -> list[Finding]:
    """Assisted against alone in the cases with both calls: exact McNemar, Holm over the readers of a measure."""
    found = []
    for reader in reads.readers:
        alone, assisted = (reads.calls(reader, arm) for arm in (ALONE, ASSISTED))
        both = [case for case in alone if case in assisted]
        for measure in PAIRED if both else ():
            first, second = (
                _of(measure, {case: calls[case] for case in both}, reads.truth)
                for calls in (alone, assisted)
            )
            if not first:
                continue
            better = sum(b > a for a, b in zip(first, second, strict=True))
            worse = sum(b < a for a, b in zip(first, second, strict=True))
            n = len(first)
            low, high = difference_interval(better, worse, n)
            found.append(
                Finding(
                    GAINS, measure, reader, GAIN, (better - worse) / n, low, high, n,
                    better=better, worse=worse, p=exact(worse, better),
                    p_unpaired=unpaired(sum(first), sum(second), n),
                    method="exact McNemar; adjusted Wald interval",
                )
            )  # fmt: skip
    return corrected(found)


def of_agreement(reads: Reads) -> list[Finding]:
    """Kappa of each reader alone with the same reader assisted, and of each two readers in an arm."""
    pairs = [
        (reader, "alone and assisted", reads.calls(reader, ALONE), reads.calls(reader, ASSISTED))
        for reader in reads.readers
    ] + [
        (f"{a} and {b}", arm, reads.calls(a, arm), reads.calls(b, arm))
        for arm in reads.arms
        for a, b in combinations(reads.readers, 2)
    ]
    return [
        _kappa(AGREEMENT, who, arm, first, second)
        for who, arm, first, second in pairs
        if set(first) & set(second)
    ]


def difference_interval(better: int, worse: int, n: int) -> Interval:
    """95 % interval of the difference of two paired proportions, (better - worse) / n.

    Adjusted Wald interval: one half is added to each cell of the table of pairs (Agresti and Min 2005, doi
    10.1002/sim.1781).

    Args:
        better: pairs in which the second alone is a success.
        worse: pairs in which the first alone is a success.
        n: all pairs.

    >>> low, high = difference_interval(5, 1, 58)
    >>> round(low, 3), round(high, 3)
    (-0.018, 0.151)
    """
    b, c, total = better + 0.5, worse + 0.5, n + 2.0
    middle = (b - c) / total
    half = stats.norm.isf((1 - LEVEL) / 2) * math.sqrt(b + c - (b - c) ** 2 / total) / total
    return float(max(-1.0, middle - half)), float(min(1.0, middle + half))


def unpaired(first: int, second: int, n: int) -> float:
    """P-value of Pearson's chi-square test of first / n against second / n, as if of 2n different cases.

    Papers print it for calls of one reader alone and assisted. It does not fit them: both calls are of the same
    cases, so they are not independent, and the test ignores which calls changed. It is shown next to McNemar's test
    for comparison with such papers.

    >>> round(unpaired(41, 45, 58), 3)
    0.396
    """
    if first + second in (0, 2 * n):
        return 1.0
    table = [[first, n - first], [second, n - second]]
    return float(stats.chi2_contingency(table, correction=False).pvalue)


def _of(measure: str, calls: Mapping[str, bool], truth: Mapping[str, bool]) -> list[bool]:
    """Whether the call is right, for each case that the measure counts."""
    counted = {
        "accuracy": list(calls),
        "sensitivity": [case for case in calls if truth[case]],
        "specificity": [case for case in calls if not truth[case]],
        "PPV": [case for case in calls if calls[case]],
        "NPV": [case for case in calls if not calls[case]],
    }
    return [calls[case] == truth[case] for case in counted[measure]]


def _proportion(measure: str, reader: str, arm: str, right: Sequence[bool]) -> Finding:
    k, n = sum(right), len(right)
    low, high = wilson(k, n) or (None, None)
    return Finding(
        CALLS, measure, reader, arm, k / n if n else None, low, high, n, k, method="Wilson interval"
    )


def _kappa(
    table: str, reader: str, arm: str, first: Mapping[str, bool], second: Mapping[str, bool]
) -> Finding:
    common = [case for case in first if case in second]
    with np.errstate(invalid="ignore"):  # of calls that are all alike
        found = cohen_kappa([first[case] for case in common], [second[case] for case in common])
    low, high = found.interval or (None, None)
    return Finding(
        table, "kappa", reader, arm, found.value, low, high, len(common),
        method="Cohen's kappa; large-sample interval",
    )  # fmt: skip
