"""Scores as plain text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nnunet_plugins.evaluation.aggregates import LabelSummary, Statistic
from nnunet_plugins.evaluation.definitions import METRICS, check_metrics
from nnunet_plugins.evaluation.instance_table import instance_lines
from nnunet_plugins.evaluation.patients import patients_of
from nnunet_plugins.evaluation.summary import Scores
from nnunet_plugins.evaluation.units import title_of, tolerance_of
from nnunet_plugins.text_table import count, number, ruled, stacked

#: Metrics in a table by default.
SHOWN = ("dice", "iou", "precision", "recall", "hd95_mm", "assd_mm")
LOWEST = 3
_OVER_LABELS = {
    "macro_over_classes": "mean of the labels",
    "macro_over_classes_with_background": "  with background",
    "macro_over_cases_of_label_means": "mean of the cases' means",
    "micro_foreground": "voxels pooled",
    "pooled_macro_over_classes": "voxels pooled per label, mean",
    "pooled_macro_over_classes_with_background": "  with background",
}


def score_table(scores: Scores, metrics: Sequence[str] = SHOWN) -> str:
    """Means ± SD over cases, one line per label; aggregates, empty masks, the lowest cases, notes.

    Args:
        scores: of `evaluate`.
        metrics: names, or ("all",).

    Raises:
        UserError: a metric that was not measured.
    """
    shown = check_metrics(scores.metrics if tuple(metrics) == ("all",) else metrics, scores.metrics)
    summary = scores.summary
    surface = {"nsd", "nsd_area"}.intersection(shown)
    tolerance = f"; NSD at {tolerance_of(scores)}" if surface else ""
    lines = [
        f"{_cases(scores)}, {count(len(summary), 'label')}; "
        f"mean foreground Dice {number(scores.mean_foreground_dice, 4)}{tolerance}",
        "",
        *_means(scores, shown),
        "",
        "mean ± SD over the n cases that have a value; medians and single cases are in the JSON",
        *_over_labels(scores, shown),
        *_empties(summary),
        *instance_lines(scores),
        *_lowest(scores),
    ]
    notes = [f"note: {note}" for note in scores.notes]
    return "\n".join([*lines, "", *notes, f"labels: {scores.labels.source}"])


def _cases(scores: Scores) -> str:
    """The number of cases, and of patients if some have several cases."""
    patients = set(patients_of(scores).values())
    of = f" of {count(len(patients), 'patient')}" if 0 < len(patients) < len(scores.cases) else ""
    return count(len(scores.cases), "case") + of


def _means(scores: Scores, metrics: Sequence[str]) -> list[str]:
    """One column per metric; a column n precedes metrics with the same number of cases."""
    summary = scores.summary
    found = [["label", *summary]]
    before: list[int] = []
    for metric in metrics:
        statistics = [label.metrics[metric] for label in summary.values()]
        counts = [one.n for one in statistics]
        if counts != before:
            found.append(["n", *map(str, counts)])
            before = counts
        found.append([title_of(metric, scores), *(_value(one, metric) for one in statistics)])
    return stacked(found)


def _over_labels(scores: Scores, metrics: Sequence[str]) -> list[str]:
    """The aggregates over all labels, one line each."""
    found = [["over all labels", *_OVER_LABELS.values()]]
    for metric in metrics:
        cells = [title_of(metric, scores)]
        for name in _OVER_LABELS:
            value = scores.aggregates[name].get(metric)
            mean = value["mean"] if isinstance(value, dict) else value
            cells.append(number(mean, METRICS[metric].digits))
        found.append(cells)
    correct = number(scores.aggregates["voxel_accuracy"], 4)
    return [
        "",
        *stacked(found),
        "",
        f"voxels with the correct label, background included: {correct}",
    ]


def _empties(summary: Mapping[str, LabelSummary]) -> list[str]:
    rows = [
        [name, str(label.missed), str(label.false_alarm), str(label.both_empty)]
        for name, label in summary.items()
        if label.missed or label.false_alarm or label.both_empty
    ]
    if not rows:
        return []
    heading = "cases with an empty mask (no distance; 'both empty' is not counted at all):"
    return ["", heading, "", *ruled([["label", "missed", "false alarm", "both empty"], *rows])]


def _lowest(scores: Scores) -> list[str]:
    found = [
        (one.dice, case.name, label)
        for case in scores.cases
        for label, one in case.labels.items()
        if one.dice is not None
    ]
    if len(scores.cases) < 2 or not found:
        return []
    rows = [(f"{dice:.3f}", case, label) for dice, case, label in sorted(found)[:LOWEST]]
    return ["", *ruled([("lowest Dice", "case", "label"), *rows], left=3)]


def _value(value: Statistic, metric: str) -> str:
    about = METRICS[metric]
    sd = "" if value.sd is None or not about.spread else f" ± {value.sd:.{about.digits}f}"
    return number(value.mean, about.digits) + sd
