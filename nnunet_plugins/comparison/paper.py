"""A paper's table with the published numbers, our numbers next to them, and its contradictions as footnotes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from architectures.suggestions import nearest_first
from nnunet_plugins.comparison.runs import Run
from nnunet_plugins.comparison.tables import NOTHING, Sheet
from nnunet_plugins.errors import UserError
from nnunet_plugins.papers.tables import Column, Row, Table

#: Suffixes of columns that are shown in the cell of another column.
_PARTS = (".sd", ".low", ".high")


@dataclass(frozen=True)
class Ours:
    """Our number for a cell of the paper; ``without`` names classes that it leaves out."""

    mean: float | None = None
    sd: float | None = None
    without: tuple[str, ...] = ()


def match(runs: Sequence[Run], table: Table) -> dict[str, Run]:
    """Map row keys to runs, by the name of the run or by the configuration that ``ablation plans`` wrote.

    Raises:
        UserError: a run matches no row, or two runs match the same row.
    """
    found: dict[str, Run] = {}
    for run in runs:
        row = _row_of(run, table)
        if row is None:
            keys = ", ".join(nearest_first(run.name, [row.key for row in table.rows]))
            raise UserError(
                f"compare --table {table.id}: {run.name} is not one of its rows; pass ROW=RUN, with ROW one of {keys}"
            )
        if row.key in found:
            raise UserError(
                f"compare --table {table.id}: {found[row.key].name} and {run.name} are both row {row.key}"
            )
        found[row.key] = run
    return found


def _row_of(run: Run, table: Table) -> Row | None:
    for row in table.rows:
        if run.name in (row.key, row.name):
            return row
    ends = [row for row in table.rows if run.configuration.endswith(f"_{row.key}")]
    return max(ends, key=lambda row: len(row.key), default=None)


def paper_sheet(table: Table, runs: Sequence[Run], unfair: Sequence[str] = ()) -> Sheet:
    """The table with two columns per number, the paper's and ours.

    Args:
        table: table of a paper.
        runs: each is one of its rows.
        unfair: names of runs for which the comparison with the first run is unfair.
    """
    matched = match(runs, table)
    labels = set().union(*(run.scores.labels.values for run in runs))
    names = [name for name in _columns(table) if _applies(name, labels)]
    remarks = table.remarks()
    head = ["row", "network", "run"]
    for name in names:
        head += [f"{name} paper", f"{name} ours"]
    rows, gaps = [], []
    for row in table.rows:
        run = matched.get(row.key)
        mark = " !" if run and run.name in unfair else ""
        cells = [row.key, row.name, f"{run.name}{mark}" if run else "not run"]
        for name in names:
            signs = [str(i) for i, one in enumerate(remarks, 1) if (row.key, name) in one.cells]
            dagger = f" †{','.join(signs)}" if signs else ""
            ours = _ours(run, table.column(name)) if run else Ours()
            digits = _digits(table, name)
            cells += [_published(row.printed, name, digits) + dagger, _text(ours, digits)]
            if run and ours.without:
                gaps.append(
                    f"{run.name}, {name}: without {', '.join(ours.without)}, which is in no case"
                )
        rows.append(tuple(cells))
    notes = [
        "Published numbers are the paper's on its own data; do not test ours against them. "
        f"{_meaning(table)}",
        *(f"†{i}: {one.text}" for i, one in enumerate(remarks, 1)),
        *gaps,
    ]
    classes = {len(run.scores.labels.values) + 1 for run in runs}
    if classes != {table.classes}:
        notes.append(
            f"the paper's data have {table.classes} classes, background included; ours have "
            f"{', '.join(map(str, sorted(classes)))}"
        )
    return Sheet(
        f"{table.paper}, Table {table.number}: {table.about}",
        tuple(head),
        tuple(rows),
        3,
        tuple(notes),
    )


def _meaning(table: Table) -> str:
    if table.pooled:
        return (
            "Ours: pixels of all cases pooled, mean over background and labels; accuracy over all pixels; distances "
            "are means over labels and cases."
        )
    return "Ours: mean over labels, without background, of means over cases; ± is over cases."


def _columns(table: Table) -> list[str]:
    names = dict.fromkeys(name for row in table.rows for name in row.printed)
    return [name for name in names if not name.endswith(_PARTS)]


def _applies(name: str, labels: set[str]) -> bool:
    """Whether a column can be filled: those of single labels need that label in our data."""
    metric, _, label = name.partition(" ")
    return metric not in ("DSC", "MIoU") or not label or label in labels


def _ours(run: Run, meant: Column | None) -> Ours:
    if meant is None:
        return Ours()
    if meant.aggregate == "parameters":
        count = run.facts.get("parameters")
        return Ours(None if count is None else count * meant.factor)
    scores = run.scores
    if meant.aggregate == "voxel_accuracy":
        value = scores.aggregates["voxel_accuracy"]
        return Ours(None if value is None else value * meant.factor)
    if meant.aggregate == "label":
        found = scores.summary[meant.label].metrics[meant.metric]
        return Ours(_times(found.mean, meant.factor), _times(found.sd, meant.factor))
    mean: dict[str, Any] = scores.aggregates[meant.aggregate].get(meant.metric, {})
    if not mean or "background" in mean["without"]:
        return Ours()
    return Ours(
        _times(mean["mean"], meant.factor),
        _times(_sd(run, meant), meant.factor),
        tuple(mean["without"]),
    )


def _sd(run: Run, meant: Column) -> float | None:
    """Standard deviation over cases of the mean over the labels of a case; None for pooled numbers."""
    if meant.aggregate.startswith("pooled"):
        return None
    found = run.scores.aggregates["macro_over_cases_of_label_means"]
    sd: float | None = found.get(meant.metric, {}).get("sd")
    return sd


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _digits(table: Table, name: str) -> int:
    """Number of decimals that the paper prints."""
    printed = [row.printed[name] for row in table.rows if name in row.printed]
    return max(len(f"{value:g}".partition(".")[2]) for value in printed)


def _published(found: dict[str, float], name: str, digits: int) -> str:
    if name not in found:
        return NOTHING
    text = f"{found[name]:.{digits}f}"
    if f"{name}.sd" in found:
        text += f" ± {found[f'{name}.sd']:.{digits}f}"
    if f"{name}.low" in found:
        text += f" ({found[f'{name}.low']:.{digits}f} to {found[f'{name}.high']:.{digits}f})"
    return text


def _text(ours: Ours, digits: int) -> str:
    if ours.mean is None:
        return NOTHING
    return f"{ours.mean:.{digits}f}" + ("" if ours.sd is None else f" ± {ours.sd:.{digits}f}")
