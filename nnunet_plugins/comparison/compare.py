"""Comparison of runs on the same cases: means with intervals, and a test of each run against the first."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nnunet_plugins.comparison.case_values import MEAN, Case, gains, measured_gains, values
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
from nnunet_plugins.comparison.repeats import of_difference, rows_of, spread
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
        trainings: number of trainings; values are means over them.
        sd_of_trainings: standard deviation over trainings of their means; None for one training.
        gain: mean over the cases with a value in both of how much better it is than the first run.
        spread: standard deviation of the difference between one training of each; None if both have one.
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
    trainings: int = 1
    sd_of_trainings: float | None = None
    gain: float | None = None
    spread: float | None = None

    @property
    def within_spread(self) -> bool:
        """Whether the difference from the first run is smaller than the spread of the trainings."""
        return self.gain is not None and self.spread is not None and abs(self.gain) < self.spread

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
    def repeated(self) -> bool:
        """Whether a run has several trainings, which differ in their seed."""
        return any(len(run.trainings) > 1 for run in self.runs)

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
    """Compare runs with the first run. Runs of the same name are trainings of one row.

    Args:
        runs: one or more.
        metrics: names; None takes Dice and, if all runs have it, HD95.
        common: compare on the cases that all runs have; notes list the others.
        seed: of the bootstrap.

    Raises:
        UserError: labels, cases or references differ, or a run does not have a metric.
    """
    check_labels(runs)
    rows, notes = rows_of(runs)
    rows, more = same_cases(rows, common=common)
    kept = {case.name for case in rows[0].scores.cases}
    runs = [run.on(kept) for run in runs]
    check_references(runs)
    notes += more + check_same_references(runs)
    metrics, more = check_measured(runs, metrics)
    patients = same_patients(rows)
    tables = tuple(_table(rows, metric, patients, seed) for metric in metrics)
    notes += more + _too_few(tables)
    notes += [f"{run.name}: {note}" for run in rows for note in (*run.notes, *run.scores.notes)]
    return Comparison(tuple(rows), tables, _unlike(runs), tuple(notes), patients)


def _unlike(runs: Sequence[Run]) -> dict[str, list[Difference]]:
    """Run -> differences of its trainings from the first training, on the cases that both have."""
    first = runs[0]
    found: dict[str, list[Difference]] = {}
    for run in runs[1:]:
        both = {case.name for case in run.scores.cases}
        unlike = differences(facts_on(first.on(both)), facts_on(run))
        if run.name == first.name:
            unlike = [one for one in unlike if one.severity == "unfair"]
        if run.name != first.name or unlike:
            known = found.setdefault(run.name, [])
            known += [one for one in unlike if one not in known]
    return found


def _table(runs: Sequence[Run], metric: str, patients: Mapping[str, int], seed: int) -> MetricTable:
    labels = list(runs[0].scores.labels.values)
    lines = []
    for label in [MEAN, *labels] if len(labels) > 1 else labels:
        found = [values(run, label, metric) for run in runs]
        spreads = [spread(run, label, metric) for run in runs]
        for run, cases, own in zip(runs, found, spreads, strict=True):
            line = _line(label, run.name, cases, patients, seed)
            line = replace(
                line,
                trainings=len(run.trainings),
                sd_of_trainings=own.sd if own else None,
            )
            if run is not runs[0]:
                better = gains(found[0], cases)
                against = paired([*better.values()], _of(better, patients))
                if not held_out(runs[0], run):
                    against = replace(against, p=None, method=None)
                measured = measured_gains(found[0], cases)
                line = replace(
                    line,
                    against=against,
                    gain=statistics.fmean(measured.values()) if measured else None,
                    spread=of_difference(spreads[0], own),
                )
            lines.append(line)
    corrected = holm([line.against.p if line.against else None for line in lines])
    lines = [replace(line, p=p) for line, p in zip(lines, corrected, strict=True)]
    return MetricTable(metric, tuple(lines), sum(p is not None for p in corrected))


def _line(
    label: str, run: str, cases: Mapping[str, Case], patients: Mapping[str, int], seed: int
) -> Line:
    """A run's scores of a label, not yet compared with another run."""
    with_value = {name: one.value for name, one in cases.items() if one.value is not None}
    known, of_each = [*with_value.values()], _of(with_value, patients)
    return Line(
        label=label,
        run=run,
        n=len(known),
        lost=sum(one.value is None and one.rank < 0 for one in cases.values()),
        mean=statistics.fmean(known) if known else None,
        sd=statistics.stdev(known) if len(known) > 1 else None,
        ci=interval(known, of_each, seed=seed),
        against=None,
        patients=len(set(of_each)) if of_each else len(known),
        median=statistics.median(known) if known else None,
        median_ci=median_interval(known, of_each, seed=seed),
    )


def _of(cases: Iterable[str], patients: Mapping[str, int]) -> list[int] | None:
    """The patients of cases; None if they are not known."""
    return [patients[case] for case in cases] if patients else None


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
