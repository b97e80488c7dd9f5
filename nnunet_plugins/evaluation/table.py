"""Scores as plain text for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnunet_plugins.evaluation.metrics import METRICS

if TYPE_CHECKING:
    from nnunet_plugins.evaluation.summary import LabelSummary, Scores, Statistic

LOWEST = 3


def table(scores: Scores) -> str:
    """Means ± SD over cases, a line a label; then what was empty, the lowest cases and notes."""
    summary = scores.summary
    dice = scores.mean_foreground_dice
    lines = [
        f"{_count(len(scores.cases), 'case')}, {_count(len(summary), 'label')}; "
        f"mean foreground Dice {'-' if dice is None else f'{dice:.4f}'}",
        "",
        *_means(summary),
        "",
        "mean ± SD over the n cases that have a value; medians and single cases are in the JSON",
        *_empties(summary),
        *_lowest(scores),
    ]
    if scores.notes:
        lines += ["", *(f"note: {note}" for note in scores.notes)]
    return "\n".join([*lines, f"labels: {scores.labels.source}"])


def _means(summary: dict[str, LabelSummary]) -> list[str]:
    titles = [METRICS[name].title for name in METRICS]
    rows = [["label", "n", *titles[:4], "n", *titles[4:]]]
    for name, label in summary.items():
        of = label.metrics
        rows.append(
            [
                name,
                str(of["dice"].n),
                _with_sd(of["dice"], 3),
                *(_mean(of[metric], 3) for metric in ("iou", "precision", "recall")),
                str(of["hd95_mm"].n),
                *(_with_sd(of[metric], 2) for metric in ("hd95_mm", "assd_mm")),
            ]
        )
    return columns(rows)


def _empties(summary: dict[str, LabelSummary]) -> list[str]:
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


def columns(rows: list[list[str]], *, left: int = 1) -> list[str]:
    """Align cells under a ruled heading: the first `left` columns to the left, others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    rule = "  ".join("-" * width for width in widths)
    return [lines[0], rule, *lines[1:]]


def _mean(value: Statistic, digits: int) -> str:
    return "-" if value.mean is None else f"{value.mean:.{digits}f}"


def _with_sd(value: Statistic, digits: int) -> str:
    sd = "" if value.sd is None else f" ± {value.sd:.{digits}f}"
    return _mean(value, digits) + sd


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
