"""A comparison as sheets: headed rows of text with notes, which any format can write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nnunet_plugins.comparison.compare import MEAN, Comparison, Line, MetricTable
from nnunet_plugins.comparison.runs import Run
from nnunet_plugins.evaluation.metrics import METRICS

UNKNOWN = "not recorded"
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
        title: above it.
        head: column headings.
        rows: as many cells each.
        left: how many columns are text.
        notes: below it.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1
    notes: tuple[str, ...] = ()


def warnings_of(comparison: Comparison) -> list[str]:
    """What makes the comparison unfair, a line a run; empty where nothing does."""
    first = comparison.runs[0].name
    return [
        f"NOT A FAIR COMPARISON: {run} against {first}: {'; '.join(map(str, unlike))}"
        for run, unlike in comparison.unfair.items()
    ]


def notes_of(comparison: Comparison) -> list[str]:
    """Notes, what differs without being unfair, and what is not recorded."""
    first = comparison.runs[0].name
    notes = list(comparison.notes)
    silent = [run.name for run in comparison.runs if not run.facts]
    if silent:
        notes.append(
            f"how {', '.join(silent)} came about is not recorded (a model folder tells it): parameters, step time, "
            "hours and memory, and whether splits, epochs, patch and budget are alike"
        )
    for run, unlike in comparison.unlike.items():
        told = [str(one) for one in unlike if one.severity == "note"]
        if told and not {run, first} & set(silent):
            notes.append(f"{run} also differs from {first} in {'; '.join(told)}")
        unknown = [one.fact.replace("_", " ") for one in unlike if one.severity == "not recorded"]
        if unknown and not {run, first} & set(silent):
            notes.append(f"not recorded for both {run} and {first}: {', '.join(unknown)}")
    return notes


def legend(comparison: Comparison) -> list[str]:
    """What the columns of the metrics' sheets mean."""
    lines = [
        "n: cases with a value. 95 % CI: bootstrap of the mean, BCa, seeded. W/T/L: cases better, equal, worse than "
        f"{comparison.runs[0].name}. r: matched-pairs rank-biserial correlation, (ranks of better cases - ranks of "
        "worse ones) / all ranks. p: Wilcoxon's signed-rank test, two-sided, corrected by Holm over a metric's "
        f"{comparison.tables[0].tests} tests."
    ]
    if any(line.label == MEAN for line in comparison.tables[0].lines):
        lines.append(
            f"{MEAN}: over the labels that a case's reference holds; none where one of them has no value."
        )
    return lines


def metric_sheet(table: MetricTable, comparison: Comparison) -> Sheet:
    """A metric's lines, a label's runs below each other."""
    about = METRICS[table.metric]
    first = comparison.runs[0]
    unfair = comparison.unfair
    rows, before = [], None
    for line in table.lines:
        name = line.run + (" !" if line.run in unfair else "")
        rows.append(("" if line.label == before else line.label, name, *_cells(line, about.digits)))
        before = line.label
    notes = []
    lost = [line for line in table.lines if line.lost]
    if lost:
        notes.append(
            "cases whose reference holds the label without a value, worst rank in the test, not in the mean: "
            + "; ".join(f"{one.run}, {one.label}: {one.lost}" for one in lost)
        )
    tolerance = f" at {first.scores.tolerance:g} mm" if table.metric == "nsd" else ""
    return Sheet(
        f"{about.title}{tolerance} ({_BETTER[about.better]})",
        ("label", "run", "n", "mean ± SD", "95 % CI", "W/T/L", "r", "p"),
        tuple(rows),
        2,
        tuple(notes),
    )


def _cells(line: Line, digits: int) -> tuple[str, ...]:
    mean = NOTHING if line.mean is None else f"{line.mean:.{digits}f}"
    sd = "" if line.sd is None else f" ± {line.sd:.{digits}f}"
    ci = NOTHING if line.ci is None else f"{line.ci[0]:.{digits}f} to {line.ci[1]:.{digits}f}"
    if line.against is None:
        return (str(line.n), mean + sd, ci, "first", "", "")
    found = line.against
    record = f"{found.wins}/{found.ties}/{found.losses}"
    effect = NOTHING if found.effect is None else f"{found.effect:+.2f}".replace("+0.00", "0.00")
    return (str(line.n), mean + sd, ci, record, effect, p_text(line.p))


def p_text(p: float | None) -> str:
    """A p as papers print it."""
    return NOTHING if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def cost_sheet(runs: Sequence[Run]) -> Sheet:
    """What each run's training took, a column a run."""
    rows = [
        (about, *(_cost(run.facts.get(fact), form) for run in runs))
        for about, fact, form in (
            ("parameters", "parameters", ",d"),
            ("epochs", "epochs", "d"),
            ("steps an epoch", "iterations_per_epoch", "d"),
            ("batch", "batch_size", "d"),
            ("patch", "patch_size", ""),
            ("seconds a step", "seconds_a_step", ".3g"),
            ("device", "device", ""),
            ("hours", "training_hours", ".2f"),
            ("peak memory, GiB", "peak_memory_gib", ".1f"),
        )
    ]
    return Sheet(
        "What the training took",
        ("", *(run.name for run in runs)),
        tuple(rows),
        1,
        (
            "Seconds a step: median epoch time over its training and validation steps. Hours: all epochs of all "
            "folds, as in the training logs. Peak memory is the card's, where one of our trainers noted it.",
        ),
    )


def _cost(value: Any, form: str) -> str:
    if value is None:
        return UNKNOWN
    return "x".join(map(str, value)) if isinstance(value, list) else format(value, form)


def sheets_of(comparison: Comparison) -> list[Sheet]:
    """A sheet a metric, and what the training took."""
    sheets = [metric_sheet(table, comparison) for table in comparison.tables]
    known = any(run.facts for run in comparison.runs)
    return [*sheets, cost_sheet(comparison.runs)] if known else sheets
