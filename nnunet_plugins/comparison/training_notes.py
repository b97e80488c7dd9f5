"""What is known of a training, and what a reader of its scores must know."""

from __future__ import annotations

from typing import Any

from nnunet_plugins.comparison.parameters import count_parameters
from nnunet_plugins.model_facts import facts_of_model, planned_for_another_dataset
from nnunet_plugins.model_folder import ModelFolder
from nnunet_plugins.planned_network import NotAllowedError


def training_facts(model: ModelFolder) -> dict[str, Any]:
    """The facts of a training, with the number of the network's parameters if the network is known."""
    facts = facts_of_model(model)
    try:
        parameters = count_parameters(model)
    except NotAllowedError as error:
        return facts | {"not_counted": str(error).partition("; allowed")[0]}
    return facts | ({} if parameters is None else {"parameters": parameters})


def training_notes(model: ModelFolder, facts: dict[str, Any]) -> list[str]:
    """Notes on a training: not finished, folds that were trained differently, plans of another dataset."""
    notes = [] if facts.get("finished") is not False else ["the training did not finish"]
    best = [fold for fold, name in facts.get("validated_with", {}).items() if "best" in name]
    if best:
        notes.append(
            f"{', '.join(best)}: validated with checkpoint_best.pth, which was selected on these validation cases"
        )
    silent = [fold.name for fold in model.folds if not model.logs[fold.name].has_epochs]
    if silent:
        notes.append(
            f"no training log in {', '.join(silent)} (nnU-Net's zip of a model leaves it out): time per step, hours "
            "and memory are not recorded"
        )
    unlike = [f"{name.replace('_', ' ')} {facts[name]}" for name in facts.get("unlike_folds", [])]
    if unlike:
        notes.append(f"the folds were not trained alike: {'; '.join(unlike)}")
    if "initial_weights" not in facts and planned_for_another_dataset(model):
        notes.append(
            "the plans were made for another dataset, as for a fine-tuning; whether the training began with "
            "pretrained weights is not recorded"
        )
    if "not_counted" in facts:
        notes.append(f"parameters not counted, not a known network: {facts['not_counted']}")
    return notes
