"""Comparison of runs on the same cases: means with intervals, and a test of each run against the first."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from nnunet_plugins.comparison.comparable import (
    check_labels,
    check_measured,
    check_references,
    same_cases,
)
from nnunet_plugins.comparison.fairness import Difference, differences
from nnunet_plugins.comparison.runs import Run
from nnunet_plugins.comparison.statistics import Paired, holm, interval, paired
from nnunet_plugins.evaluation.metrics import METRICS, MaskScores

MEAN = "mean of labels"
ALPHA = 0.05


@dataclass(frozen=True)
class Line:
    """One run's scores of one label in one metric.

    Attributes:
        label: its name, or `MEAN`.
        run: name.
        n: cases with a value.
        lost: cases without a value although the reference holds the label.
        mean: over the n cases.
        sd: sample standard deviation (n - 1).
        ci: 95 % confidence interval of the mean.
        against: the paired comparison with the first run; None for the first run.
        p: its p-value after Holm's correction over all tests of the metric.
    """

    label: str
    run: str
    n: int
    lost: int
    mean: float | None
    sd: float | None
    ci: tuple[float, float] | None
    against: Paired | None
    p: float | None = None


@dataclass(frozen=True)
class MetricTable:
    """All labels and runs in one metric; ``tests`` is the number of tests in Holm's correction."""

    metric: str
    lines: tuple[Line, ...]
    tests: int


@dataclass(frozen=True)
class Comparison:
    """The result of `compare`.

    Attributes:
        runs: the first is the reference of the comparison; reduced to the common cases.
        tables: one per metric.
        unlike: run -> differences of its training from that of the first run.
        notes: what a reader must know.
    """

    runs: tuple[Run, ...]
    tables: tuple[MetricTable, ...]
    unlike: dict[str, list[Difference]]
    notes: tuple[str, ...]

    @property
    def unfair(self) -> dict[str, list[Difference]]:
        """Run -> differences that make its comparison with the first run unfair."""
        found = {
            run: [one for one in unlike if one.severity == "unfair"]
            for run, unlike in self.unlike.items()
        }
        return {run: unlike for run, unlike in found.items() if unlike}


def compare(
    runs: Sequence[Run],
    metrics: Sequence[str] | None = None,
    *,
    common: bool = False,
    seed: int = 0,
) -> Comparison:
    """Compare runs with the first run.

    Args:
        runs: one or more.
        metrics: names; None takes Dice and, if all runs have it, HD95.
        common: compare on the cases that all runs have; notes list the others.
        seed: of the bootstrap.

    Raises:
        UserError: labels, cases or references differ, or a run does not have a metric.
    """
    check_labels(runs)
    runs, notes = same_cases(runs, common=common)
    check_references(runs)
    metrics, more = check_measured(runs, metrics)
    notes += more
    tables = tuple(_table(runs, metric, seed) for metric in metrics)
    notes += _too_few(tables)
    first = runs[0].facts
    unlike = {run.name: differences(first, run.facts) for run in runs[1:]}
    notes += [f"{run.name}: {note}" for run in runs for note in (*run.notes, *run.scores.notes)]
    return Comparison(tuple(runs), tables, unlike, tuple(notes))


def _table(runs: Sequence[Run], metric: str, seed: int) -> MetricTable:
    labels = list(runs[0].scores.labels.values)
    lines = []
    for label in [MEAN, *labels] if len(labels) > 1 else labels:
        found = [_values(run, label, metric) for run in runs]
        for run, cases in zip(runs, found, strict=True):
            against = None if run is runs[0] else paired(_gains(found[0], cases, metric))
            known = [one.value for one in cases.values() if one.value is not None]
            lines.append(
                Line(
                    label,
                    run.name,
                    len(known),
                    sum(one.value is None and one.rank < 0 for one in cases.values()),
                    statistics.fmean(known) if known else None,
                    statistics.stdev(known) if len(known) > 1 else None,
                    interval(known, seed=seed),
                    against,
                )
            )
    corrected = holm([line.against.p if line.against else None for line in lines])
    lines = [replace(line, p=p) for line, p in zip(lines, corrected, strict=True)]
    return MetricTable(metric, tuple(lines), sum(p is not None for p in corrected))


@dataclass(frozen=True)
class _Case:
    """A value, and the rank of a case without one: +inf correctly empty, -inf failed, 0 not counted."""

    value: float | None
    rank: float = 0.0


def _values(run: Run, label: str, metric: str) -> dict[str, _Case]:
    return {
        case.name: _over_labels(case.labels, metric)
        if label == MEAN
        else _one(case.labels[label], metric)
        for case in run.scores.cases
    }


def _one(scores: MaskScores, metric: str) -> _Case:
    value = getattr(scores, metric)
    if value is not None:
        return _Case(value)
    ranks = {"both empty": math.inf, "both present": 0.0}
    return _Case(None, ranks.get(scores.state, -math.inf))


def _over_labels(labels: dict[str, MaskScores], metric: str) -> _Case:
    """Mean over the labels that the reference holds, so that all runs average the same labels."""
    found = [_one(one, metric) for one in labels.values() if one.reference_voxels]
    values = [one.value for one in found if one.value is not None]
    if not found:
        return _Case(None)
    if len(values) < len(found):
        return _Case(None, -math.inf)
    return _Case(statistics.fmean(values))


def _gains(first: dict[str, _Case], other: dict[str, _Case], metric: str) -> list[float]:
    """How much better the other run is in each case; cases that count in neither run are left out."""
    better = METRICS[metric].better

    def good(case: _Case) -> float:
        if case.value is None:
            return case.rank
        return {"higher": case.value, "lower": -case.value, "zero": -abs(case.value)}[better]

    gains = []
    for name, a in first.items():
        b = other[name]
        silent = [one.value is None and one.rank >= 0 for one in (a, b)]
        if all(silent) or any(one.value is None and one.rank == 0 for one in (a, b)):
            continue
        x, y = good(a), good(b)
        gains.append(0.0 if x == y else y - x)
    return gains


def _too_few(tables: Sequence[MetricTable]) -> list[str]:
    """A note if no scores could make a test significant."""
    for table in tables:
        for line in table.lines:
            if line.against and line.against.least_p * table.tests >= ALPHA:
                least = min(1.0, line.against.least_p * table.tests)
                return [
                    f"too few cases: n = {line.against.n} gives p = {line.against.least_p:.2g} at best, "
                    f"{least:.2g} after Holm's correction over {table.tests} tests; the result cannot be significant"
                ]
    return []
