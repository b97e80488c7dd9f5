"""A comparison as tables of text with headings and notes, independent of the output format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nnunet_plugins.comparison.case_values import MEAN
from nnunet_plugins.comparison.compare import Comparison, Line, MetricTable
from nnunet_plugins.comparison.runs import Run
from nnunet_plugins.comparison.signed_rank import EXACT_UP_TO
from nnunet_plugins.comparison.statistics import FEW
from nnunet_plugins.evaluation.definitions import METRICS
from nnunet_plugins.evaluation.units import title_of, tolerance_of

UNKNOWN = "not recorded"
TOO_SHORT = (
    f"* fewer than {FEW} {{}}: the interval is too short; in simulations, 84 % of such intervals held the mean with "
    "5, and 90 % with 9"
)
NOTHING = "-"
_BETTER = {
    "higher": "higher is better",
    "lower": "lower is better",
    "zero": "nearer to 0 is better",
}


@dataclass(frozen=True)
class Sheet:
    """One table.

    Attributes:
        title: above the table.
        head: column headings.
        rows: cells, as many per row as headings.
        left: number of columns that are aligned to the left.
        notes: below the table.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1
    notes: tuple[str, ...] = ()


def warnings_of(comparison: Comparison) -> list[str]:
    """What makes the scores no validation or the comparison unfair, one line per run; empty if there is nothing."""
    first = comparison.runs[0].name
    known = {run.name: run.scores.trained_on for run in comparison.runs if run.scores.trained_on}
    trained = [
        f"NO TEST: {run} is scored on cases that it was trained on: {why}"
        for run, why in known.items()
    ]
    return trained + [
        f"NOT A FAIR COMPARISON: {'trainings of ' if run == first else ''}{run} against {first}: "
        f"{'; '.join(map(str, unlike))}"
        for run, unlike in comparison.unfair.items()
    ]


def notes_of(comparison: Comparison) -> list[str]:
    """Notes, differences that are not unfair, and facts that are not recorded."""
    first = comparison.runs[0].name
    notes = list(comparison.notes)
    silent = [run.name for run in comparison.runs if not run.facts]
    if silent:
        notes.append(
            f"the training of {', '.join(silent)} is not recorded (pass the model folder): parameters, time per "
            "step, hours, memory, mirroring, whether splits, epochs, patch and budget are the same, and whether "
            "these cases are training cases"
        )
    for run, unlike in comparison.unlike.items():
        noted = [str(one) for one in unlike if one.severity == "note"]
        if noted and not {run, first} & set(silent):
            notes.append(f"{run} also differs from {first} in {'; '.join(noted)}")
        unknown = [one.fact.replace("_", " ") for one in unlike if one.severity == "not recorded"]
        if unknown and not {run, first} & set(silent):
            notes.append(f"not recorded for both {run} and {first}: {', '.join(unknown)}")
    return notes


def legend(comparison: Comparison) -> list[str]:
    """The meaning of the columns of `metric_sheet`."""
    tests = comparison.tables[0].tests
    how = (
        f"p: Wilcoxon's signed-rank test, two-sided, {_how_tested(comparison)}, with Holm's correction over the "
        f"{tests} tests of a metric."
        if tests
        else "p: no test was made."
    )
    lines = [
        "n: cases with a value. 95 % CI: BCa bootstrap of the mean, seeded. W/T/L: cases better than, equal to and "
        f"worse than {comparison.runs[0].name}. r: matched-pairs rank-biserial correlation, (ranks of better cases - "
        f"ranks of worse cases) / all ranks. {how}",
    ]
    if comparison.by_patient:
        lines.append(
            f"By patient ({len(set(comparison.patients.values()))} patients, {len(comparison.patients)} cases): the "
            "bootstrap draws patients with all of their cases; W/T/L, r and p are of patients, whose cases are "
            "averaged first; n: cases (patients)."
        )
    if comparison.repeated:
        lines.append(
            "Rows with several trainings, which differ in the seed only: mean, SD, interval and tests are of each "
            "case's mean over the trainings, so they describe the variance between cases. SD of seeds: between the "
            "trainings, of their means over the cases that all of them have (number of trainings)."
        )
    if any(line.label == MEAN for line in comparison.tables[0].lines):
        lines.append(
            f"{MEAN}: over the labels that a case's reference holds; no value if one of them has none."
        )
    return lines


def _how_tested(comparison: Comparison) -> str:
    """How the p-values were computed."""
    tests = [line.against for table in comparison.tables for line in table.lines if line.against]
    methods = {one.method for one in tests if one.method}
    if "normal approximation" not in methods:
        return "exact"
    other = "exact" if "exact" in methods else "not used here"
    return f"by the normal approximation where more than {EXACT_UP_TO} pairs differ, else {other}"


def metric_sheet(table: MetricTable, comparison: Comparison) -> Sheet:
    """The table of a metric, grouped by label."""
    about = METRICS[table.metric]
    first = comparison.runs[0]
    rows, before = [], None
    for line in table.lines:
        name = line.run + (" !" if line.run in comparison.marked else "")
        cells = _cells(line, about.digits, by_patient=comparison.by_patient)
        if comparison.repeated:
            cells = (*cells[:2], _of_seeds(line, about.digits), *cells[2:])
        rows.append(("" if line.label == before else line.label, name, *cells))
        before = line.label
    notes = []
    lost = [line for line in table.lines if line.lost]
    if lost:
        notes.append(
            "cases without a value although the reference holds the label (worst rank in the test, not in the mean): "
            + "; ".join(f"{one.run}, {one.label}: {one.lost}" for one in lost)
        )
    if any(line.few for line in table.lines):
        notes.append(TOO_SHORT.format("patients" if comparison.by_patient else "cases"))
    close = [line for line in table.lines if line.within_spread]
    if close:
        notes.append(
            "† the mean difference from the first run is smaller than the spread of the trainings (SD of the "
            "difference between one training of each): "
            + "; ".join(_within(line, about.digits + 1) for line in close)
        )
    surface = table.metric in ("nsd", "nsd_area")
    tolerance = f" at {tolerance_of(first.scores)}" if surface else ""
    return Sheet(
        f"{title_of(table.metric, first.scores)}{tolerance} ({_BETTER[about.better]})",
        (
            *("label", "run", "n", "mean ± SD"),
            *(("SD of seeds",) if comparison.repeated else ()),
            *("95 % CI", "W/T/L", "r", "p"),
        ),
        tuple(rows),
        2,
        tuple(notes),
    )


def _cells(line: Line, digits: int, *, by_patient: bool = False) -> tuple[str, ...]:
    mean = NOTHING if line.mean is None else f"{line.mean:.{digits}f}"
    sd = "" if line.sd is None else f" ± {line.sd:.{digits}f}"
    ci = NOTHING if line.ci is None else f"{line.ci[0]:.{digits}f} to {line.ci[1]:.{digits}f}"
    ci += " *" if line.few else ""
    n = f"{line.n} ({line.patients})" if by_patient else str(line.n)
    if line.against is None:
        return (n, mean + sd, ci, "first", "", "")
    found = line.against
    record = f"{found.wins}/{found.ties}/{found.losses}"
    effect = NOTHING if found.effect is None else f"{found.effect:+.2f}".replace("+0.00", "0.00")
    p = p_text(line.p) + (" †" if line.within_spread else "")
    return (n, mean + sd, ci, record, effect, p)


def _of_seeds(line: Line, digits: int) -> str:
    if line.sd_of_trainings is None:
        return NOTHING
    return f"{line.sd_of_trainings:.{digits + 1}f} ({line.trainings})"


def _within(line: Line, digits: int) -> str:
    return f"{line.run}, {line.label}: {abs(line.gain or 0):.{digits}f} against {line.spread:.{digits}f}"


def p_text(p: float | None) -> str:
    """A p-value as papers print it.

    >>> p_text(0.0312), p_text(2e-5)
    ('0.031', '< 0.001')
    """
    return NOTHING if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def cost_sheet(runs: Sequence[Run]) -> Sheet:
    """The cost of each run's training, one column per run."""
    rows = [
        (about, *(_cost(run.facts.get(fact), form) for run in runs))
        for about, fact, form in (
            ("parameters", "parameters", ",d"),
            ("epochs", "epochs", "d"),
            ("steps per epoch", "iterations_per_epoch", "d"),
            ("batch", "batch_size", "d"),
            ("patch", "patch_size", ""),
            ("seconds per step", "seconds_a_step", ".3g"),
            ("device", "device", ""),
            ("hours", "training_hours", ".2f"),
            ("peak memory, GiB", "peak_memory_gib", ".1f"),
        )
    ]
    return Sheet(
        "Cost of the training",
        ("", *(run.name for run in runs)),
        tuple(rows),
        1,
        (
            "Seconds per step: median epoch time divided by its training and validation steps. Hours: all epochs of "
            "all folds, from the training logs. Peak memory: of the GPU, recorded by our trainers only.",
        ),
    )


def _cost(value: Any, form: str) -> str:
    if value is None:
        return UNKNOWN
    if isinstance(value, str):  # a text, or the values of folds that differ
        return value
    return "x".join(map(str, value)) if isinstance(value, list) else format(value, form)


def sheets_of(comparison: Comparison) -> list[Sheet]:
    """One table per metric, and the cost of the training if it is known."""
    sheets = [metric_sheet(table, comparison) for table in comparison.tables]
    known = any(run.facts for run in comparison.runs)
    return [*sheets, cost_sheet(comparison.runs)] if known else sheets
