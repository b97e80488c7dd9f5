"""All readers together: calls, confidences and masks by Obuchowski and Rockette's analysis, and the reading time."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from nnunet_plugins.comparison.statistics import interval, median_interval, paired
from nnunet_plugins.evaluation.cases import listed
from nnunet_plugins.readers.accuracy import areas, means
from nnunet_plugins.readers.findings import GAIN, Finding, corrected, in_percent
from nnunet_plugins.readers.obuchowski_rockette import LEVEL, Estimate, analyse, gain_of_reader
from nnunet_plugins.readers.reads import ALL, ALONE, ARMS, ASSISTED, Reads

MRMC, MRMC_FIXED, AUC, AUC_GAINS, TIME = (
    "all readers", "these readers", "AUC", "AUC, alone against assisted", "reading time",
)  # fmt: skip
#: Of an interval for other readers too that is shorter than for these readers alone, which cannot be true.
TOO_SHORT = "too short"
NO_VARIANCE = "no variance and therefore no interval"
RANDOM = "Obuchowski-Rockette, readers and cases random, Hillis's degrees of freedom"
FIXED = "Obuchowski-Rockette, cases random, these readers only"
SINGLE = "empirical area; jackknife over cases, or patients with several cases"
Array = NDArray[np.float64]
Scores = Mapping[tuple[str, str], Mapping[str, float]]  # (reader, arm) -> case -> value


def of_confidences(reads: Reads) -> tuple[list[Finding], list[str]]:
    """AUC of each reader and arm, of all readers, and what is left out and why."""
    found = {
        (reader, arm): reads.numbers(reader, arm, "confidence")
        for reader in reads.readers
        for arm in reads.arms
    }
    found = {key: values for key, values in found.items() if values}
    if not found:
        return [], []
    singles, gains, notes = [], [], []
    few = "too few positive or negative cases, or patients, with a confidence"
    for (reader, arm), values in found.items():
        known = [case for case in values if case in reads.truth]
        alone = _areas(reads, np.array([[[values[case] for case in known]]]), known)
        if alone is None:
            notes.append(f"no AUC of {reader}, {arm}: {few}")
        else:
            area, error = alone
            singles.append(
                _single(reader, arm, float(area[0, 0]), float(error[0, 0, 0, 0]), len(known))
            )
    for reader in reads.readers:
        first, second = (found.get((reader, arm), {}) for arm in ARMS)
        cases = [case for case in first if case in second and case in reads.truth]
        pair = _areas(reads, stacked(found, [reader], cases), cases)
        if pair is not None:
            gain = gain_of_reader(pair[0][:, 0], pair[1][:, 0, :, 0])
            gains.append(_finding(AUC_GAINS, AUC, reader, GAIN, gain, len(cases), "", SINGLE))
        elif first and second:
            notes.append(f"no difference of AUC of {reader}: {few} in both arms")
    shared, why = common_cases(found, reads.readers)
    notes += [f"AUC of all readers: {one}" for one in why]
    shared = [case for case in shared if case in reads.truth]
    every = _areas(reads, stacked(found, reads.readers, shared), shared)
    return singles + corrected(gains) + (together(*every, AUC, len(shared)) if every else []), notes


def of_calls(reads: Reads) -> tuple[list[Finding], list[str]]:
    """Accuracy, sensitivity and specificity of all readers."""
    right: dict[tuple[str, str], dict[str, float]] = {}
    for reader in reads.readers:
        for arm in reads.arms:
            calls = reads.calls(reader, arm)
            right[reader, arm] = {
                case: float(call == reads.truth[case]) for case, call in calls.items()
            }
    if not any(right.values()):
        return [], []
    shared, notes = common_cases(right, reads.readers)
    found = []
    classes = {
        "accuracy": shared,
        "sensitivity": [case for case in shared if reads.truth[case]],
        "specificity": [case for case in shared if not reads.truth[case]],
    }
    for measure, cases in classes.items():
        patients = patients_of(reads, cases)
        if len(set(patients or cases)) > 1:
            values = means(stacked(right, reads.readers, cases), patients)
            found += together(*values, measure, len(cases))
    return found, [f"calls of all readers: {one}" for one in notes]


def of_minutes(reads: Reads) -> list[Finding]:
    """Median reading time of each reader and arm, and Wilcoxon's test of the change."""
    found = []
    for reader in reads.readers:
        arms = {arm: reads.numbers(reader, arm, "minutes") for arm in reads.arms}
        for arm, minutes in arms.items():
            if minutes:
                values = [*minutes.values()]
                low, high = median_interval(values, patients_of(reads, minutes)) or (None, None)
                found.append(
                    Finding(
                        TIME, "median minutes", reader, arm, statistics.median(values), low, high, len(values),
                        method="interval by order statistics",
                    )
                )  # fmt: skip
        alone, assisted = arms.get(ALONE, {}), arms.get(ASSISTED, {})
        change = {case: assisted[case] - alone[case] for case in alone if case in assisted}
        if change:
            patients, values = patients_of(reads, change), [*change.values()]
            test = paired([-one for one in values], patients)
            low, high = interval(values, patients) or (None, None)
            found.append(
                Finding(
                    TIME, "mean change, minutes", reader, GAIN, statistics.fmean(values), low, high, len(values),
                    better=test.wins, worse=test.losses, p=test.p, method="Wilcoxon; bootstrap interval",
                )
            )  # fmt: skip
    return corrected(found)


def common_cases(scores: Scores, readers: Sequence[str]) -> tuple[list[str], list[str]]:
    """Cases with a value of every reader in both arms, and why there are fewer, or none."""
    if len(readers) < 2:
        return [], []
    lacking = [
        f"{reader}, {arm}" for reader in readers for arm in ARMS if not scores.get((reader, arm))
    ]
    if lacking:
        return [], [f"not computed: no values of {'; '.join(lacking)}"]
    every = [set(scores[reader, arm]) for reader in readers for arm in ARMS]
    shared, seen = sorted(set.intersection(*every)), set.union(*every)
    left = sorted(seen - set(shared))
    return shared, [f"{len(left)} of {len(seen)} cases left out, because not every reader has a value in both arms: "
                    f"{listed(left)}"] if left else []  # fmt: skip


def stacked(scores: Scores, readers: Sequence[str], cases: Sequence[str]) -> Array:
    """Values (arms, readers, cases)."""
    return np.array(
        [[[scores[reader, arm][case] for case in cases] for reader in readers] for arm in ARMS]
    )


def together(
    values: Array, covariances: Array, measure: str, n: int, *, label: str = ""
) -> list[Finding]:
    """Findings of all readers; values (arms, readers), their covariances (arms, readers, arms, readers)."""
    found = analyse(values, covariances)
    random, fixed = (*found.means, found.difference), (*found.means_fixed, found.difference_fixed)
    test = f"; F = {found.f:.4g}, df {found.ndf} and {found.ddf:.4g}" if found.p is not None else ""
    return [
        _finding(
            table, measure, ALL, arm, one, n, label,
            method + test * (arm == GAIN and table == MRMC) + f"; {TOO_SHORT}" * _shorter(one, other),
            tested=arm == GAIN,
        )
        for table, estimates, method in ((MRMC, random, RANDOM), (MRMC_FIXED, fixed, FIXED))
        for arm, one, other in zip((*ARMS, GAIN), estimates, fixed, strict=True)
    ]  # fmt: skip


def _shorter(one: Estimate, other: Estimate) -> bool:
    """Whether the interval is shorter by more than rounding; False if one of them has none."""
    first, second = (
        math.nan if each.low is None or each.high is None else each.high - each.low
        for each in (one, other)
    )
    return first < second * (1 - 1e-9)


def _finding(
    table: str, measure: str, reader: str, arm: str, one: Estimate, n: int, label: str, method: str, *,
    tested: bool = True,
) -> Finding:  # fmt: skip
    low, high = one.low, one.high
    if low is None or high is None:
        method += f"; {NO_VARIANCE}"
    elif measure == AUC or in_percent(measure):  # limits beyond what is possible are cut
        low, high = max(low, -1.0 if tested else 0.0), min(high, 1.0)
    return Finding(
        table, measure, reader, arm, one.value, low, high, n, p=one.p if tested else None, label=label,
        method=method,
    )  # fmt: skip


def _single(reader: str, arm: str, area: float, variance: float, n: int) -> Finding:
    """An area; without an interval if the jackknife finds no variance, as for an area of 1."""
    if not variance > 0:
        return Finding(AUC, AUC, reader, arm, area, n=n, method=SINGLE)
    half = float(stats.norm.isf((1 - LEVEL) / 2)) * variance**0.5
    return Finding(
        AUC, AUC, reader, arm, area, max(0.0, area - half), min(1.0, area + half), n, method=SINGLE
    )


def _areas(reads: Reads, ratings: Array, cases: Sequence[str]) -> tuple[Array, Array] | None:
    """`areas` of the ratings; None if there are too few."""
    truth = np.array([reads.truth[case] for case in cases], bool)
    try:
        return areas(ratings, truth, patients_of(reads, cases))
    except ValueError:
        return None


def patients_of(reads: Reads, cases: Collection[str]) -> list[int] | None:
    """The patients of cases; None if all cases are of different patients."""
    return [reads.patients[case] for case in cases] if reads.clustered else None
