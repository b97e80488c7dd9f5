"""Training cases of a model among the cases of its predictions."""

from __future__ import annotations

from dataclasses import replace

from nnunet_plugins.comparison.nnunet_summary import read_summaries
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.cases import listed
from nnunet_plugins.evaluation.scoring import marked
from nnunet_plugins.evaluation.summary import CaseScores, Scores
from nnunet_plugins.evaluation.validation import training_cases, trains_on_all, validation_cases
from nnunet_plugins.model_folder import ModelFolder


def marked_by_model(model: ModelFolder, scores: Scores) -> Scores:
    """Scores that are marked if they are of cases that a model was trained on.

    A case is the training case of its name if its reference has the same volumes as in nnU-Net's summary.json.

    Args:
        model: with the folds that predicted.
        scores: of its predictions.
    """
    trained = _trained(model)
    known = _summarised(model, scores)
    same, named = [], []
    for case in scores.cases:
        if case.name in trained:
            found = known.get(case.name)
            if found is None:
                named.append(case.name)
            elif _volumes(found) == _volumes(case):
                same.append(case.name)
    if named:
        note = (
            f"{len(named)} of {len(scores.cases)} cases have names of training cases of the model: {listed(named)}; "
            "if they are the same cases, these are scores of training cases"
        )
        scores = replace(scores, notes=(note, *scores.notes))
    every = len(scores.cases)
    return marked(
        scores,
        f"{len(same)} of {every} cases are training cases of the model: {listed(same)}"
        if same
        else "",
    )


def _trained(model: ModelFolder) -> set[str]:
    """Names of the cases that a fold was trained on, as far as the model's folders state them."""
    every = {fold: set(validation_cases(fold)) for fold in sorted(model.path.glob("fold_*"))}
    found: set[str] = set()
    for fold in model.folds:
        if trains_on_all(fold):
            found |= every.get(fold, set())
            continue
        others = set().union(*(cases for other, cases in every.items() if other != fold))
        found |= set(training_cases(fold) or others - every.get(fold, set()))
    return found


def _summarised(model: ModelFolder, scores: Scores) -> dict[str, CaseScores]:
    """Case -> its scores in nnU-Net's summaries; folds without one are left out."""
    found: dict[str, CaseScores] = {}
    for fold in sorted(model.path.glob("fold_*")):
        try:
            found |= {case.name: case for case in read_summaries([fold], scores.labels).cases}
        except UserError:
            continue
    return found


def _volumes(case: CaseScores) -> dict[str, int]:
    return {label: one.reference_voxels for label, one in case.labels.items()}
