"""Trainings that differ only in their seed are one row of a comparison."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from nnunet_plugins.comparison.case_values import Case, values_of
from nnunet_plugins.comparison.runs import Run
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.metrics import MaskScores
from nnunet_plugins.evaluation.overlap import Counts
from nnunet_plugins.evaluation.summary import CaseScores

#: Fields of MaskScores that count voxels: of several trainings they are added, like pooled cases.
_COUNTS = ("prediction_voxels", "reference_voxels", "common_voxels", "voxels")
#: Facts that are averaged over the trainings of a row.
_COST = ("seconds_a_step", "training_hours")


@dataclass(frozen=True)
class Spread:
    """How far the trainings of a row differ.

    Attributes:
        trainings: number.
        cases: that all of them have, with a value.
        sd: sample standard deviation over trainings of their means over these cases.
        sd_of_good: the same on a scale on which higher is better.
    """

    trainings: int
    cases: int
    sd: float
    sd_of_good: float


def spread(run: Run, label: str, metric: str) -> Spread | None:
    """The spread of a row's trainings; None if it has one training, or they share no case with a value."""
    if len(run.trainings) < 2:
        return None
    found = [values_of(scores, label, metric) for scores in run.trainings]
    shared = [
        name
        for name in found[0]
        if all(name in one and one[name].value is not None for one in found)
    ]
    if not shared:
        return None
    means = [_mean(one, shared) for one in found]
    return Spread(
        len(found),
        len(shared),
        statistics.stdev([value for value, _ in means]),
        statistics.stdev([good for _, good in means]),
    )


def _mean(cases: Mapping[str, Case], names: Sequence[str]) -> tuple[float, float]:
    chosen = [cases[name] for name in names]
    value = statistics.fmean([one.value for one in chosen if one.value is not None])
    return value, statistics.fmean([one.good for one in chosen])


def of_difference(first: Spread | None, other: Spread | None) -> float | None:
    """Standard deviation of the difference between one training of each row; None if both rows have one.

    A row with one training is taken to vary as much as the other row.

    >>> round(of_difference(Spread(3, 9, 0.03, 0.03), Spread(3, 9, 0.04, 0.04)), 6)
    0.05
    """
    known = [one.sd_of_good for one in (first, other) if one is not None]
    return float(sum(sd**2 for sd in known) * 2 / len(known)) ** 0.5 if known else None


def rows_of(runs: Sequence[Run]) -> tuple[list[Run], list[str]]:
    """One run per name, the trainings of a name merged, and notes.

    Raises:
        UserError: trainings of one name have the same seed or scores, or differ in more than the seed.
    """
    named: dict[str, list[Run]] = {}
    for run in runs:
        named.setdefault(run.name, []).append(run)
    rows, notes = [], []
    for name, repeats in named.items():
        _check(name, repeats)
        rows.append(repeats[0] if len(repeats) == 1 else _merged(repeats))
        sizes = {len(run.scores.cases) for run in repeats}
        if len(sizes) > 1:
            notes.append(
                f"{name}: its {len(repeats)} trainings have {', '.join(str(len(r.scores.cases)) for r in repeats)} "
                "cases; a case has the mean over the trainings that have it"
            )
    return rows, notes


def _check(name: str, repeats: Sequence[Run]) -> None:
    seeds = [run.seed for run in repeats if run.seed is not None]
    if len(set(seeds)) < len(seeds):
        raise UserError(
            f"compare: two trainings called {name!r} have the same seed ({', '.join(map(str, seeds))}); pass other "
            "trainings, or NAME=RUN with different names"
        )
    unknown = [run.scores.cases for run in repeats if run.seed is None]
    if any(cases == other for place, cases in enumerate(unknown) for other in unknown[:place]):
        raise UserError(
            f"compare: two trainings called {name!r} have the same scores, so one of them is there twice"
        )
    if len({run.recipe for run in repeats if run.recipe}) > 1:
        raise UserError(
            f"compare: the trainings called {name!r} differ in more than the seed, so they are not one row; pass "
            "NAME=RUN with different names (nnunet-plugins plan-diff lists the differences)"
        )


def _merged(repeats: Sequence[Run]) -> Run:
    """One run: its scores are means over the trainings, its facts those of the first one."""
    first = repeats[0]
    every: dict[str, list[CaseScores]] = {}
    for run in repeats:
        for case in run.scores.cases:
            every.setdefault(case.name, []).append(case)
    scores = replace(
        first.scores,
        cases=tuple(_case(every[name]) for name in sorted(every)),
        notes=_notes([run.scores.notes for run in repeats], repeats),
        trained_on="; ".join(dict.fromkeys(filter(None, (r.scores.trained_on for r in repeats)))),
        metrics=tuple(
            m for m in first.scores.metrics if all(m in r.scores.metrics for r in repeats)
        ),
    )
    facts: dict[str, Any] = first.facts | {
        fact: statistics.fmean(known)
        for fact in _COST
        if len(known := [run.facts[fact] for run in repeats if fact in run.facts]) == len(repeats)
    }
    notes = _notes([run.notes for run in repeats], repeats)
    trainings = tuple(run.scores for run in repeats)
    return replace(first, scores=scores, facts=facts, notes=notes, repeats=trainings, seed=None)


def _notes(every: Sequence[Sequence[str]], repeats: Sequence[Run]) -> tuple[str, ...]:
    """Notes of all trainings once, and those of some with their seed."""
    found: dict[str, None] = {}
    for notes, run in zip(every, repeats, strict=True):
        for note in notes:
            shared = all(note in other for other in every)
            who = "" if shared or run.seed is None else f"seed {run.seed}: "
            found.setdefault(who + note)
    return tuple(found)


def _case(of_each: Sequence[CaseScores]) -> CaseScores:
    first = of_each[0]
    return replace(
        first,
        labels={name: _mask([case.labels[name] for case in of_each]) for name in first.labels},
        background=sum((case.background for case in of_each), Counts(0, 0, 0, 0)),
        agreeing=sum(case.agreeing for case in of_each),
    )


def _mask(of_each: Sequence[MaskScores]) -> MaskScores:
    """Mean metrics and volumes, summed counts; None where a training has no value although a mask is not empty."""
    merged: dict[str, Any] = {}
    counted = [one for one in of_each if one.state != "both empty"]
    for name in (field.name for field in fields(MaskScores)):
        if name in _COUNTS:
            merged[name] = sum(getattr(one, name) for one in of_each)
        elif name.endswith("_mm3"):
            merged[name] = statistics.fmean(getattr(one, name) for one in of_each)
        else:
            found = [getattr(one, name) for one in counted]
            merged[name] = None if None in found or not found else statistics.fmean(found)
    return MaskScores(**merged)
