"""The value of each case in a metric: of one training, or the mean over the trainings of a row."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nnunet_plugins.comparison.runs import Run
from nnunet_plugins.evaluation.definitions import METRICS
from nnunet_plugins.evaluation.metrics import MaskScores
from nnunet_plugins.evaluation.summary import Scores

MEAN = "mean of labels"
#: Metrics that no prediction has, good or bad, where the reference is empty: the case does not count.
_OF_REFERENCE = ("recall", "volume_error")


@dataclass(frozen=True)
class Case:
    """A value, or the rank of a case without one.

    Attributes:
        value: None without one.
        rank: of a case without a value: +inf correctly empty, -inf failed, 0 not counted.
        good: the value on a scale on which higher is better.
    """

    value: float | None
    rank: float = 0.0
    good: float = 0.0

    @property
    def silent(self) -> bool:
        """Whether it has no value although nothing failed."""
        return self.value is None and self.rank >= 0

    @property
    def place(self) -> float:
        """The value, or the rank, on a scale on which higher is better."""
        return self.rank if self.value is None else self.good


def values(run: Run, label: str, metric: str) -> dict[str, Case]:
    """Case -> its value; that of several trainings is the mean over those that have the case."""
    found: dict[str, list[Case]] = {case.name: [] for case in run.scores.cases}
    for scores in run.trainings:
        for name, case in values_of(scores, label, metric).items():
            found[name].append(case)
    return {name: mean_of(cases) for name, cases in found.items()}


def values_of(scores: Scores, label: str, metric: str) -> dict[str, Case]:
    """Case -> its value in one training."""
    return {
        case.name: _over_labels(case.labels, metric)
        if label == MEAN
        else _one(case.labels[label], metric)
        for case in scores.cases
    }


def mean_of(cases: Sequence[Case]) -> Case:
    """The mean over trainings: no value if one of them failed or does not count; the correctly empty add nothing."""
    known = [one for one in cases if one.value is not None]
    least = min((one.rank for one in cases if one.value is None), default=math.inf)
    if not known or least < math.inf:
        return Case(None, least)
    return Case(
        statistics.fmean([one.value for one in known if one.value is not None]),
        good=statistics.fmean([one.good for one in known]),
    )


def gains(first: Mapping[str, Case], other: Mapping[str, Case]) -> dict[str, float]:
    """Case -> how much better the other run is; cases that count in neither run are left out."""
    found: dict[str, float] = {}
    for name, a in first.items():
        b = other[name]
        if (a.silent and b.silent) or any(one.silent and one.rank == 0 for one in (a, b)):
            continue
        x, y = a.place, b.place
        found[name] = 0.0 if x == y else y - x
    return found


def measured_gains(first: Mapping[str, Case], other: Mapping[str, Case]) -> dict[str, float]:
    """The gains of the cases that have a value in both runs, of which a mean can be taken."""
    return {
        name: gain
        for name, gain in gains(first, other).items()
        if first[name].value is not None and other[name].value is not None
    }


def _one(scores: MaskScores, metric: str) -> Case:
    value = getattr(scores, metric)
    if value is not None:
        return _case(value, metric)
    if metric in _OF_REFERENCE and not scores.reference_voxels:
        return Case(None)
    ranks = {"both empty": math.inf, "both present": 0.0}
    return Case(None, ranks.get(scores.state, -math.inf))


def _over_labels(labels: Mapping[str, MaskScores], metric: str) -> Case:
    """Mean over the labels that the reference holds, so that all runs average the same labels."""
    found = [_one(one, metric) for one in labels.values() if one.reference_voxels]
    known = [one.value for one in found if one.value is not None]
    if not found:
        return Case(None)
    if len(known) < len(found):
        return Case(None, -math.inf)
    return _case(statistics.fmean(known), metric)


def _case(value: float, metric: str) -> Case:
    good = {"higher": value, "lower": -value, "zero": -abs(value)}
    return Case(value, good=good[METRICS[metric].better])
