"""Means of many scores; each kind has a name and states what it leaves out."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nnunet_plugins.evaluation.metrics import MaskScores
from nnunet_plugins.evaluation.overlap import Counts, overlap

#: Name -> definition. Distances are measured within a case, so means of pooled voxels have none.
AGGREGATES = {
    "macro_over_cases": "mean over the cases that have a value (each label's entry in summary)",
    "micro": "from the voxels of all cases pooled, separately for each label",
    "micro_foreground": "from the voxels of all cases and all labels pooled",
    "macro_over_classes": "mean over labels, without background, of their macro_over_cases",
    "macro_over_classes_with_background": "the same over background and labels",
    "macro_over_cases_of_label_means": "mean over cases of the mean over the labels that have a value in the case, "
    "without background; sd and median are over cases",
    "pooled_macro_over_classes": "mean over labels, without background, of their micro",
    "pooled_macro_over_classes_with_background": "the same over background and labels; the arithmetic of the "
    "macro precision, recall, F1 (dice) and mIoU (iou) of Silveira et al. (silveira2025-inception-dual)",
    "voxel_accuracy": "share of all cases' voxels with the correct label, background included",
}


@dataclass(frozen=True)
class Statistic:
    """Of the `n` cases that have a value; sd is the sample standard deviation (n - 1), None below two cases."""

    n: int
    mean: float | None
    sd: float | None
    median: float | None


@dataclass(frozen=True)
class LabelSummary:
    """One label over all cases, with the numbers of cases in which a mask was empty."""

    cases: int
    both_empty: int
    false_alarm: int
    missed: int
    metrics: dict[str, Statistic]


def summarise(scores: Sequence[MaskScores], metrics: Sequence[str]) -> LabelSummary:
    """Summarise one label's scores over cases."""
    states = [one.state for one in scores]
    return LabelSummary(
        cases=len(scores),
        both_empty=states.count("both empty"),
        false_alarm=states.count("false alarm"),
        missed=states.count("missed"),
        metrics={name: describe([getattr(one, name) for one in scores]) for name in metrics},
    )


def describe(values: Sequence[float | None]) -> Statistic:
    """Mean, standard deviation and median of the values that are not None.

    >>> describe([0.8, None, 0.9]).n
    2
    """
    known = [value for value in values if value is not None]
    if not known:
        return Statistic(0, None, None, None)
    sd = statistics.stdev(known) if len(known) > 1 else None
    return Statistic(len(known), statistics.fmean(known), sd, statistics.median(known))


def pooled(counts: Sequence[Counts]) -> dict[str, float | None]:
    """Overlap scores of the pooled voxels of all cases."""
    return overlap(sum(counts, Counts(0, 0, 0, 0)))


def macro(classes: Mapping[str, float | None]) -> dict[str, Any]:
    """Mean over classes, their number, and the names of those without a value."""
    statistic = describe(list(classes.values()))
    without = [name for name, value in classes.items() if value is None]
    return {"mean": statistic.mean, "classes": statistic.n, "without": without}


def label_means(labels: Mapping[str, Sequence[MaskScores]], metric: str) -> list[float | None]:
    """Mean over the labels of each case; None for a case in which no label has a value.

    Args:
        labels: name -> its scores, one per case.
        metric: name.
    """
    cases = zip(*labels.values(), strict=True)
    return [describe([getattr(one, metric) for one in case]).mean for case in cases]


def aggregate(
    labels: Mapping[str, Sequence[MaskScores]],
    summary: Mapping[str, LabelSummary],
    background: Sequence[Counts],
    agreeing: int,
) -> dict[str, Any]:
    """All of `AGGREGATES` except macro_over_cases, which is the summary.

    Args:
        labels: name -> its scores, one per case.
        summary: name -> its statistics over the cases.
        background: its voxel counts, one set per case.
        agreeing: voxels of all cases with the correct label.
    """
    of_label = {name: [one.counts for one in scores] for name, scores in labels.items()}
    micro = {name: pooled(counts) for name, counts in of_label.items()}
    micro_all = {"background": pooled(background), **micro}
    by_case = [overlap(counts) for counts in background]
    names = list(next(iter(summary.values())).metrics)
    overlaps = list(micro_all["background"])
    means = {
        metric: {name: one.metrics[metric].mean for name, one in summary.items()}
        for metric in names
    }
    voxels = sum(counts.all for counts in background)
    return {
        "micro": micro,
        "micro_foreground": pooled([one for counts in of_label.values() for one in counts]),
        "macro_over_classes": {metric: macro(means[metric]) for metric in names},
        "macro_over_cases_of_label_means": {
            metric: asdict(describe(label_means(labels, metric))) for metric in names
        },
        "macro_over_classes_with_background": {
            metric: macro(
                {"background": describe([one[metric] for one in by_case]).mean} | means[metric]
            )
            for metric in overlaps
        },
        "pooled_macro_over_classes": _over_classes(micro, overlaps),
        "pooled_macro_over_classes_with_background": _over_classes(micro_all, overlaps),
        "voxel_accuracy": agreeing / voxels if voxels else None,
    }


def _over_classes(
    micro: Mapping[str, Mapping[str, float | None]], metrics: Sequence[str]
) -> dict[str, Any]:
    return {metric: macro({name: one[metric] for name, one in micro.items()}) for metric in metrics}


def counted(counts: Counts) -> dict[str, Any]:
    """A class's voxel counts and the scores that follow from them, in JSON's types."""
    return {**overlap(counts), **asdict(counts)}
