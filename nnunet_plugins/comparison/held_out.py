"""Whether the cases of a comparison were kept from the trainings: folds that matter, training cases, patients."""

from __future__ import annotations

from collections.abc import Collection, Mapping
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


def patients_in_several_folds(
    patients: Mapping[str, int], splits: Mapping[str, Collection[str]]
) -> int:
    """Number of patients whose cases were validated by several folds: each of these folds trained on the others.

    >>> patients_in_several_folds({"a": 1, "b": 1, "c": 2}, {"fold_0": ["a"], "fold_1": ["b", "c"]})
    1
    """
    folds: dict[int, set[str]] = {}
    for fold, cases in splits.items():
        for case in cases:
            if case in patients:
                folds.setdefault(patients[case], set()).add(fold)
    return sum(len(found) > 1 for found in folds.values())
