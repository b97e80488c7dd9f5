"""A paper's table with the published numbers, our numbers next to them, and its contradictions as footnotes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from architectures.suggestions import nearest_first
from nnunet_plugins.comparison.paper_cells import (
    Given,
    Ours,
    check_external,
    is_filled,
    ours,
    spread_of,
)
from nnunet_plugins.comparison.runs import Run
from nnunet_plugins.comparison.tables import NOTHING, Sheet
from nnunet_plugins.errors import UserError
from nnunet_plugins.papers.remarks import remarks
from nnunet_plugins.papers.tables import Row, Table

#: Suffixes of columns that are shown in the cell of another column.
_PARTS = (".sd", ".low", ".high")


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


def paper_sheet(
    table: Table, runs: Sequence[Run], unfair: Sequence[str] = (), given: Given | None = None
) -> Sheet:
    """The table with two columns per number, the paper's and ours; the headings state what ± is over.

    Args:
        table: table of a paper.
        runs: each is one of its rows.
        unfair: names of runs for which the comparison with the first run is unfair.
        given: external test sets, times, and what ± is over.

    Raises:
        UserError: a run matches no row, or an external test set has other labels than its run or shares cases.
    """
    given = given or Given()
    matched = match(runs, table)
    for key in [*given.external, *given.seconds]:
        if key not in matched:
            raise UserError(f"compare --table {table.id}: no run for row {key}; pass {key}=RUN")
    for key, scores in given.external.items():
        check_external(key, matched[key], scores)
    labels = set().union(*(run.scores.labels.values for run in runs))
    names = [name for name in _columns(table) if _applies(name, labels)]
    filled = {name for name in names if is_filled(table.column(name), given)}
    every = remarks(table)
    head = ["row", "network", "run"]
    for name in names:
        head += _headings(table, name, given)[: 2 if name in filled else 1]
    rows, gaps = [], []
    for row in table.rows:
        run = matched.get(row.key)
        mark = " !" if run and run.name in unfair else ""
        cells = [row.key, row.name, f"{run.name}{mark}" if run else "not run"]
        for name in names:
            signs = [str(i) for i, one in enumerate(every, 1) if (row.key, name) in one.cells]
            dagger = f" †{','.join(signs)}" if signs else ""
            digits = table.digits(name)
            cells.append(published(row.printed, name, digits) + dagger)
            if name not in filled:
                continue
            own = ours(row.key, run, table.column(name), given) if run else Ours()
            cells.append(_text(own, digits))
            if run and own.without:
                gaps.append(
                    f"{run.name}, {name}: without {', '.join(own.without)}, where no case has a value"
                )
        rows.append(tuple(cells))
    return Sheet(
        f"{table.paper}, Table {table.number}: {table.about}",
        tuple(head),
        tuple(rows),
        3,
        (
            "Published numbers are the paper's on its own data; do not test ours against them. "
            f"{_meaning(table, given)}",
            *(f"†{i}: {one.text}" for i, one in enumerate(every, 1)),
            *gaps,
            *_gaps_of_columns(table, [name for name in names if name not in filled]),
            *_gaps_of_runs(table, runs, given),
        ),
    )


def _headings(table: Table, name: str, given: Given) -> list[str]:
    """The headings of the paper's and of our column."""
    meant = table.column(name)
    spread = any(f"{name}.sd" in row.printed for row in table.rows)
    spreads = {
        "paper": meant.spread if meant and spread else "",
        "ours": spread_of(meant, given.spread),
    }
    return [f"{name} {who}" + (f" (± {of})" if of else "") for who, of in spreads.items()]


def _gaps_of_columns(table: Table, names: Sequence[str]) -> list[str]:
    """How columns without our numbers are filled."""
    by: dict[str, list[str]] = {}
    for name in names:
        meant = table.column(name)
        option = "--external ROW=FILE.json" if meant and meant.external else "--seconds ROW=S"
        by.setdefault(option, []).append(name)
    return [f"without ours: {', '.join(found)}; pass {option}" for option, found in by.items()]


def _gaps_of_runs(table: Table, runs: Sequence[Run], given: Given) -> list[str]:
    """Notes on runs with other classes than the paper and, with ± over folds, on runs whose folds are not known."""
    notes = []
    classes = {len(run.scores.labels.values) + 1 for run in runs}
    if classes != {table.classes}:
        notes.append(
            f"the paper's data have {table.classes} classes, background included; ours have "
            f"{', '.join(map(str, sorted(classes)))}"
        )
    unknown = [run.name for run in runs if not run.folds]
    if given.spread == "folds" and unknown:
        notes.append(
            f"the folds of {', '.join(unknown)} are not recorded: means over cases, without ±; pass the model folder"
        )
    return notes


def _meaning(table: Table, given: Given) -> str:
    folds = given.spread == "folds"
    if table.pooled:
        what = (
            "Ours: pixels of all cases pooled, mean over background and labels; accuracy over all pixels; distances "
            "are means over labels and cases"
        )
    else:
        what = "Ours: mean over labels, without background, of means over cases"
    if folds:
        return f"{what}, in each fold; then mean and standard deviation of the folds."
    return f"{what}; ± is the standard deviation of the cases."


def _columns(table: Table) -> list[str]:
    names = dict.fromkeys(name for row in table.rows for name in row.printed)
    return [name for name in names if not name.endswith(_PARTS)]


def _applies(name: str, labels: set[str]) -> bool:
    """Whether a column can be filled: those of single labels need that label in our data."""
    metric, _, label = name.partition(" ")
    return metric not in ("DSC", "MIoU") or not label or label in labels


def published(found: Mapping[str, float], name: str, digits: int) -> str:
    """A printed value with its spread or interval, if it has them, from keys ``name``, ``name.sd``, ``name.low``.

    >>> published({"kappa": 0.5, "kappa.low": 0.31, "kappa.high": 0.7}, "kappa", 2)
    '0.50 (0.31 to 0.70)'
    """
    if name not in found:
        return NOTHING
    text = f"{found[name]:.{digits}f}"
    if f"{name}.sd" in found:
        text += f" ± {found[f'{name}.sd']:.{digits}f}"
    if f"{name}.low" in found:
        text += f" ({found[f'{name}.low']:.{digits}f} to {found[f'{name}.high']:.{digits}f})"
    return text


def _text(own: Ours, digits: int) -> str:
    if own.mean is None:
        return NOTHING
    return f"{own.mean:.{digits}f}" + ("" if own.sd is None else f" ± {own.sd:.{digits}f}")
