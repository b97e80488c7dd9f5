"""Whether the cases of a comparison were kept from the trainings: folds that matter, training cases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnunet_plugins.comparison.fairness import OF_FOLDS
from nnunet_plugins.comparison.runs import Run


def facts_on(run: Run) -> dict[str, Any]:
    """A run's facts, of its folds only those that validated a case of the comparison."""
    cases = {case.name for case in run.scores.cases}
    splits = run.facts.get("splits")
    if not isinstance(splits, Mapping):
        return run.facts
    folds = {fold for fold, validated in splits.items() if cases.intersection(validated)}
    return run.facts | {
        fact: {fold: value for fold, value in run.facts[fact].items() if fold in folds}
        for fact in OF_FOLDS
        if isinstance(run.facts.get(fact), Mapping)
    }


def without_test(first: Run, other: Run) -> str:
    """Why two runs are not tested against each other; '' if nothing speaks against it."""
    trained = [run.name for run in (first, other) if run.scores.trained_on]
    return f"{' and '.join(dict.fromkeys(trained))} scored on training cases" if trained else ""
