"""Our numbers for the cells of a paper's table: of a run, of its external test set, or given."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from nnunet_plugins.comparison.runs import Run
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.saved import read_scores
from nnunet_plugins.evaluation.summary import Scores
from nnunet_plugins.papers.tables import Column, Table

Spread = Literal["cases", "folds"]


@dataclass(frozen=True)
class Ours:
    """Our number for a cell of the paper; ``without`` names the classes or folds that it leaves out."""

    mean: float | None = None
    sd: float | None = None
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Given:
    """What a table shows in addition to its runs.

    Attributes:
        external: row -> scores of its external test set.
        seconds: row -> time of the prediction of an image, s.
        spread: what ± is over: the cases, or the means of the folds.
    """

    external: Mapping[str, Scores] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    spread: Spread = "cases"


def read_given(
    table: Table, external: Sequence[str], seconds: Sequence[str], spread: Spread
) -> Given:
    """Read ``ROW=FILE.json`` of external test sets and ``ROW=SECONDS``.

    Raises:
        UserError: an unknown row, a table without such a column, a file that is not a scores file, or no number.
    """
    columns = [table.column(name) for row in table.rows for name in row.printed]
    measured = [column for column in columns if column]
    if external and not any(column.external for column in measured):
        raise UserError(
            f"--external: {table.id} has no external test set; sij-fm-25d-attention-unet.2 has one"
        )
    if seconds and not any(column.aggregate == "seconds" for column in measured):
        raise UserError(
            f"--seconds: {table.id} has no time of an image; cai2023-aspp-unet.3 has it"
        )
    files = _by_row(table, "--external", external, "FILE.json")
    times = _by_row(table, "--seconds", seconds, "SECONDS")
    return Given(
        {row: read_scores(Path(file)) for row, file in files.items()},
        {row: _seconds(row, text) for row, text in times.items()},
        spread,
    )


def _by_row(table: Table, option: str, texts: Sequence[str], what: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        row, equals, value = text.partition("=")
        if not equals or row in found:
            raise UserError(f"{option} {text}: pass ROW={what}, once for each row of {table.id}")
        found[table.row(row).key] = value
    return found


def _seconds(row: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise UserError(f"--seconds {row}={text}: pass the seconds of an image, a number above 0")
    return value


def check_external(row: str, run: Run, scores: Scores) -> None:
    """Check that an external test set has the labels of its run and none of its cases.

    Raises:
        UserError: it has other labels, or a case of the run.
    """
    if scores.labels.values != run.scores.labels.values:
        raise UserError(
            f"--external {row}: has other labels than {run.name}; evaluate both with the same dataset.json (-djfile)"
        )
    voxels = {case.reference.voxels for case in run.scores.cases if case.reference}
    names = {case.name for case in run.scores.cases}
    for case in scores.cases:
        known = case.reference is not None and bool(voxels)
        same = case.reference is not None and case.reference.voxels in voxels
        if same or (not known and case.name in names):
            raise UserError(
                f"--external {row}: {case.name} is also a case of {run.name}, by its "
                f"{'reference' if known else 'name'}; an external test set has other cases"
            )


def is_filled(meant: Column | None, given: Given) -> bool:
    """Whether we have numbers for a column; external test sets and times must be given."""
    if meant is None:
        return False
    if meant.external:
        return bool(given.external)
    return meant.aggregate != "seconds" or bool(given.seconds)


def ours(row: str, run: Run, meant: Column | None, given: Given) -> Ours:
    """Our number for a column of a row."""
    if meant is None:
        return Ours()
    if meant.aggregate == "parameters":
        return Ours(_times(run.facts.get("parameters"), meant.factor))
    if meant.aggregate == "seconds":
        return Ours(given.seconds.get(row))
    if meant.external:
        scores = given.external.get(row)
        return Ours() if scores is None else _over_cases(scores, meant)
    if given.spread == "cases":
        return _over_cases(run.scores, meant)
    return (
        _over_folds(run, meant) if run.folds else replace(_over_cases(run.scores, meant), sd=None)
    )


def spread_of(meant: Column | None, spread: Spread) -> str:
    """What ± of our number is over; '' if it has none."""
    if meant is None or meant.aggregate in ("parameters", "seconds"):
        return ""
    if spread == "folds" and not meant.external:
        return "folds"
    return "" if meant.aggregate.startswith(("pooled", "voxel")) else "cases"


def _over_cases(scores: Scores, meant: Column) -> Ours:
    """The mean over all cases; the standard deviation is that of the cases' means over their labels."""
    if meant.aggregate == "voxel_accuracy":
        return Ours(_times(scores.aggregates["voxel_accuracy"], meant.factor))
    if meant.aggregate == "label":
        found = scores.summary[meant.label].metrics[meant.metric]
        return Ours(_times(found.mean, meant.factor), _times(found.sd, meant.factor))
    mean: dict[str, Any] = scores.aggregates[meant.aggregate].get(meant.metric, {})
    if not mean or "background" in mean["without"]:
        return Ours()
    sd = None
    if not meant.aggregate.startswith("pooled"):
        of_cases = scores.aggregates["macro_over_cases_of_label_means"]
        sd = of_cases.get(meant.metric, {}).get("sd")
    return Ours(
        _times(mean["mean"], meant.factor), _times(sd, meant.factor), tuple(mean["without"])
    )


def _over_folds(run: Run, meant: Column) -> Ours:
    """Mean and standard deviation of the folds' means."""
    parts: dict[str, Ours] = {}
    for fold in sorted(set(run.folds.values())):
        cases = tuple(case for case in run.scores.cases if run.folds.get(case.name) == fold)
        if cases:
            parts[fold] = _over_cases(replace(run.scores, cases=cases), meant)
    means = [one.mean for one in parts.values() if one.mean is not None]
    without = [label for one in parts.values() for label in one.without]
    without += [fold for fold, one in parts.items() if one.mean is None]
    return Ours(
        statistics.fmean(means) if means else None,
        statistics.stdev(means) if len(means) > 1 else None,
        tuple(dict.fromkeys(without)),
    )


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
