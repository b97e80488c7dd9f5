"""Patients with cases on both sides of a fold: the fold was validated on patients that it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nnunet_plugins.evaluation.patients import patients_of, recorded
from nnunet_plugins.evaluation.summary import Scores
from nnunet_plugins.evaluation.validation import training_cases, validation_cases
from nnunet_plugins.model_folder import ModelFolder

NOTE = (
    "PATIENTS ON BOTH SIDES: {} cases in the training and in the validation of a fold; these scores are too good for "
    "new patients"
)


def patient_leaks(model: ModelFolder, scores: Scores, reference: Path | None) -> list[str]:
    """A note if patients are on both sides of a fold, as far as the patients of the cases are known.

    Args:
        model: with the folds that were scored.
        scores: of their validation cases, with the patients of a table.
        reference: folder of the references, whose converted dataset records the patients; None with a table.
    """
    # One of both: a number means another patient in the other.
    known = recorded(reference) if reference else patients_of(scores)
    folds = {fold: set(validation_cases(fold)) for fold in model.path.glob("fold_*")}
    found: set[int] = set()
    for fold in model.folds:
        others = set().union(*(cases for other, cases in folds.items() if other != fold))
        trained = set(training_cases(fold) or others - folds[fold])
        found |= _patients(trained, known) & _patients(folds[fold], known)
    if not found:
        return []
    count = f"{len(found)} patients have" if len(found) > 1 else "1 patient has"
    return [NOTE.format(count)]


def _patients(cases: set[str], known: Mapping[str, int]) -> set[int]:
    return {known[case] for case in cases if case in known}
