"""Scores as plain text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nnunet_plugins.evaluation.aggregates import LabelSummary, Statistic
from nnunet_plugins.evaluation.metrics import METRICS, check_metrics

if TYPE_CHECKING:
    from nnunet_plugins.evaluation.summary import Scores

#: What a table shows unless it is told otherwise.
SHOWN = ("dice", "iou", "precision", "recall", "hd95_mm", "assd_mm")
WIDTH = 100
GAP = "  "
LOWEST = 3
_OVER_LABELS = {
    "macro_over_classes": "mean of the labels",
    "macro_over_classes_with_background": "  and background",
    "micro_foreground": "voxels pooled",
    "pooled_macro_over_classes": "voxels pooled, mean of the labels",
    "pooled_macro_over_classes_with_background": "  and background",
}


def table(scores: Scores, metrics: Sequence[str] = SHOWN) -> str:
    """Means ± SD over cases, a line a label; over all labels; what was empty, the lowest cases, notes.

    Raises:
        UserError: a metric that was not measured.
    """
    shown = check_metrics(scores.metrics if tuple(metrics) == ("all",) else metrics, scores.metrics)
    summary = scores.summary
    dice = scores.mean_foreground_dice
    tolerance = f"; NSD at {scores.tolerance:g} mm" if "nsd" in shown else ""
    lines = [
        f"{_count(len(scores.cases), 'case')}, {_count(len(summary), 'label')}; "
        f"mean foreground Dice {'-' if dice is None else f'{dice:.4f}'}{tolerance}",
        "",
        *_means(summary, shown),
        "",
        "mean ± SD over the n cases that have a value; medians and single cases are in the JSON",
        *_over_labels(scores, shown),
        *_empties(summary),
        *_lowest(scores),
    ]
    if scores.notes:
        lines += ["", *(f"note: {note}" for note in scores.notes)]
    return "\n".join([*lines, f"labels: {scores.labels.source}"])


def _means(summary: Mapping[str, LabelSummary], metrics: Sequence[str]) -> list[str]:
    """A column a metric; their n stands before each run of metrics that have the same."""
    columns_ = [["label", *summary]]
    before: list[int] = []
    for metric in metrics:
        found = [label.metrics[metric] for label in summary.values()]
        counts = [one.n for one in found]
        if counts != before:
            columns_.append(["n", *map(str, counts)])
            before = counts
        columns_.append([METRICS[metric].title, *(_value(one, metric) for one in found)])
    return blocks(columns_)


def _over_labels(scores: Scores, metrics: Sequence[str]) -> list[str]:
    """The aggregates over all labels, a line each."""
    found = [["over all labels", *_OVER_LABELS.values()]]
    for metric in metrics:
        cells = [METRICS[metric].title]
        for name in _OVER_LABELS:
            value = scores.aggregates[name].get(metric)
            mean = value["mean"] if isinstance(value, dict) else value
            cells.append(number(mean, METRICS[metric].digits))
        found.append(cells)
    right = number(scores.aggregates["voxel_accuracy"], 4)
    return ["", *blocks(found), "", f"voxels with the right label, background included: {right}"]


def blocks(columns_: Sequence[Sequence[str]], *, left: int = 1, width: int = WIDTH) -> list[str]:
    """Columns side by side under a ruled heading; what is too wide goes below.

    Below, the first column is repeated, and the ``n`` that counts what follows. A line of dashes alone is left out.
    """
    first, *rest = columns_
    parts: list[list[Sequence[str]]] = [[first]]
    counting: list[Sequence[str]] = []  # the last n; it stands right before what it counts
    new_count = False
    for column in rest:
        if column[0] == "n":
            counting, new_count = [column], True
            continue
        new = [*counting, column] if new_count else [column]
        wide = sum(max(map(len, one)) + len(GAP) for one in [*parts[-1], *new]) - len(GAP)
        if wide > width and len(parts[-1]) > 1:
            parts.append([first, *counting, column])
        else:
            parts[-1] += new
        new_count = False
    lines: list[str] = []
    for part in parts:
        rows = [row for row in zip(*part, strict=True) if set(row[1:]) != {"-"}]
        lines += [*([""] if lines else []), *columns(rows, left=left)]
        left = 1
    return lines


def _empties(summary: Mapping[str, LabelSummary]) -> list[str]:
    rows = [
        [name, str(label.missed), str(label.false_alarm), str(label.both_empty)]
        for name, label in summary.items()
        if label.missed or label.false_alarm or label.both_empty
    ]
    if not rows:
        return []
    heading = "cases with an empty mask (no distance; 'both empty' does not count at all):"
    return ["", heading, "", *columns([["label", "missed", "false alarm", "both empty"], *rows])]


def _lowest(scores: Scores) -> list[str]:
    found = [
        (one.dice, case.name, label)
        for case in scores.cases
        for label, one in case.labels.items()
        if one.dice is not None
    ]
    if len(scores.cases) < 2 or not found:
        return []
    lowest = sorted(found)[:LOWEST]
    rows = [
        ["lowest Dice", "case", "label"],
        *([f"{d:.3f}", case, label] for d, case, label in lowest),
    ]
    return ["", *columns(rows, left=3)]


def columns(rows: Sequence[Sequence[str]], *, left: int = 1) -> list[str]:
    """Align cells under a ruled heading: the first `left` columns to the left, others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(GAP.join(cells).rstrip())
    rule = GAP.join("-" * width for width in widths)
    return [lines[0], rule, *lines[1:]]


def number(value: float | None, digits: int) -> str:
    """A number, or a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def _value(value: Statistic, metric: str) -> str:
    about = METRICS[metric]
    sd = "" if value.sd is None or not about.spread else f" ± {value.sd:.{about.digits}f}"
    return number(value.mean, about.digits) + sd


def _count(number_: int, noun: str) -> str:
    return f"{number_} {noun}{'' if number_ == 1 else 's'}"
