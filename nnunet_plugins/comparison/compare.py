"""Comparison of runs on the same cases: means with intervals, and a test of each run against the first."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nnunet_plugins.comparison.comparable import (
    check_labels,
    check_measured,
    check_references,
    same_cases,
    same_patients,
)
from nnunet_plugins.comparison.fairness import Difference, differences
from nnunet_plugins.comparison.held_out import facts_on, held_out
from nnunet_plugins.comparison.references import check_same_references
from nnunet_plugins.comparison.runs import Run
from nnunet_plugins.comparison.statistics import (
    FEW,
    Paired,
    holm,
    interval,
    median_interval,
    paired,
)
from nnunet_plugins.evaluation.definitions import METRICS
from nnunet_plugins.evaluation.metrics import MaskScores

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
        p: its p-value after Holm's correction over all tests of the metric; None without a test.
        patients: of the n cases; n if the patients are not known.
        median: over the n cases.
        median_ci: 95 % confidence interval of the median.
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
    patients: int = 0
    median: float | None = None
    median_ci: tuple[float, float] | None = None

    @property
    def few(self) -> bool:
        """Whether the interval of the mean is of so few cases or patients that it is too short."""
        return self.ci is not None and self.patients < FEW


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
        patients: case -> number of its patient; empty if the patients are not known.
    """

    runs: tuple[Run, ...]
    tables: tuple[MetricTable, ...]
    unlike: dict[str, list[Difference]]
    notes: tuple[str, ...]
    patients: dict[str, int] = field(default_factory=dict)

    @property
    def by_patient(self) -> bool:
        """Whether a patient has several cases, so that intervals and tests are by patient."""
        return len(set(self.patients.values())) < len(self.patients)

    @property
    def marked(self) -> list[str]:
        """Names of the runs whose comparison with the first run is unfair, or whose scores are of training cases."""
        trained = [run.name for run in self.runs if run.scores.trained_on]
        return list(dict.fromkeys([*self.unfair, *trained]))

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
    notes += check_same_references(runs)
    metrics, more = check_measured(runs, metrics)
    notes += more
    patients = same_patients(runs)
    tables = tuple(_table(runs, metric, patients, seed) for metric in metrics)
    notes += _too_few(tables)
    first = facts_on(runs[0])
    unlike = {run.name: differences(first, facts_on(run)) for run in runs[1:]}
    notes += [f"{run.name}: {note}" for run in runs for note in (*run.notes, *run.scores.notes)]
    return Comparison(tuple(runs), tables, unlike, tuple(notes), patients)


def _table(runs: Sequence[Run], metric: str, patients: Mapping[str, int], seed: int) -> MetricTable:
    labels = list(runs[0].scores.labels.values)
    lines = []
    for label in [MEAN, *labels] if len(labels) > 1 else labels:
        found = [_values(run, label, metric) for run in runs]
        for run, cases in zip(runs, found, strict=True):
            line = _line(label, run.name, cases, patients, seed)
            if run is not runs[0]:
                gains = _gains(found[0], cases, metric)
                against = paired([*gains.values()], _of(gains, patients))
                if not held_out(runs[0], run):
                    against = replace(against, p=None, method=None)
                line = replace(line, against=against)
            lines.append(line)
    corrected = holm([line.against.p if line.against else None for line in lines])
    lines = [replace(line, p=p) for line, p in zip(lines, corrected, strict=True)]
    return MetricTable(metric, tuple(lines), sum(p is not None for p in corrected))


def _line(
    label: str, run: str, cases: Mapping[str, _Case], patients: Mapping[str, int], seed: int
) -> Line:
    """A run's scores of a label, not yet compared with another run."""
    with_value = {name: one.value for name, one in cases.items() if one.value is not None}
    values, of_each = [*with_value.values()], _of(with_value, patients)
    return Line(
        label=label,
        run=run,
        n=len(values),
        lost=sum(one.value is None and one.rank < 0 for one in cases.values()),
        mean=statistics.fmean(values) if values else None,
        sd=statistics.stdev(values) if len(values) > 1 else None,
        ci=interval(values, of_each, seed=seed),
        against=None,
        patients=len(set(of_each)) if of_each else len(values),
        median=statistics.median(values) if values else None,
        median_ci=median_interval(values, of_each, seed=seed),
    )


def _of(cases: Iterable[str], patients: Mapping[str, int]) -> list[int] | None:
    """The patients of cases; None if they are not known."""
    return [patients[case] for case in cases] if patients else None


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


def _gains(first: dict[str, _Case], other: dict[str, _Case], metric: str) -> dict[str, float]:
    """Case -> how much better the other run is; cases that count in neither run are left out."""
    better = METRICS[metric].better

    def good(case: _Case) -> float:
        if case.value is None:
            return case.rank
        return {"higher": case.value, "lower": -case.value, "zero": -abs(case.value)}[better]

    gains: dict[str, float] = {}
    for name, a in first.items():
        b = other[name]
        silent = [one.value is None and one.rank >= 0 for one in (a, b)]
        if all(silent) or any(one.value is None and one.rank == 0 for one in (a, b)):
            continue
        x, y = good(a), good(b)
        gains[name] = 0.0 if x == y else y - x
    return gains


def _too_few(tables: Sequence[MetricTable]) -> list[str]:
    """A note if no scores could make a test significant, with so few pairs or so many ties."""
    found = [
        note for table in tables for line in table.lines if (note := _out_of_reach(table, line))
    ]
    if not found:
        return []
    others = f"; the same holds for {len(found) - 1} more of the tests" if len(found) > 1 else ""
    return [f"too few cases: {found[0]}{others}"]


def _out_of_reach(table: MetricTable, line: Line) -> str:
    """Why the test of a line cannot be significant; '' if it can, or if no case differs."""
    found = line.against
    if found is None or found.p is None:
        return ""
    differ = found.wins + found.losses
    p = found.least_p if differ else min(1.0, 2.0 ** (1 - found.n))
    if p * table.tests < ALPHA:
        return ""
    cause = f", of which {differ} differ," if 0 < differ < found.n else ""
    where = f"{METRICS[table.metric].title}, {line.label}, {line.run}"
    return (
        f"n = {found.n}{cause} gives p = {p:.2g} at best, {min(1.0, p * table.tests):.2g} after Holm's correction "
        f"over {table.tests} tests; the result cannot be significant ({where})"
    )
