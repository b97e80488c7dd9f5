"""What nnU-Net's text files record about a training: facts by name; a fact that is not recorded is left out."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.validation import trains_on_all, validation_cases
from nnunet_plugins.model_folder import ModelFolder
from nnunet_plugins.plans_file import read_object, resolve, with_architecture
from nnunet_plugins.training_log import TrainingLog

#: Fact -> its key and type in nnU-Net's debug.json, where all values are strings.
DEBUG_KEYS = {
    "epochs": ("num_epochs", int),
    "iterations_per_epoch": ("num_iterations_per_epoch", int),
    "validation_iterations": ("num_val_iterations_per_epoch", int),
    "batch_size": ("batch_size", int),
    "initial_lr": ("initial_lr", float),
    "weight_decay": ("weight_decay", float),
    "oversample_foreground": ("oversample_foreground_percent", float),
    "mirrored_at_validation": ("inference_allowed_mirroring_axes", str),
    "device": ("device", str),
    "torch": ("torch_version", str),
    "network": ("network", str),
}
#: The same, of what only our trainers write.
OUR_KEYS = {
    "initial_weights": ("initial_weights", str),
    "nnunet": ("nnunet_version", str),
}
#: Entries of a configuration's `training` (see `procedure`) other than the budget.
PROCEDURE = (
    "optimizer",
    "initial_lr",
    "weight_decay",
    "lr_schedule",
    "loss",
    "augmentation",
    "mirror_axes",
    "oversample_foreground",
    "deep_supervision",
)
#: Facts that all folds of a model have in common, unless they were trained differently.
_OF_FOLD = ("splits", "training_cases", "finished", "validated_with")


def facts_of_model(model: ModelFolder) -> dict[str, Any]:
    """Facts for `fairness.differences`, and the cost of the training; unknown facts are left out.

    The cost: seconds_a_step (median epoch time divided by its training and validation steps), training_hours (all
    epochs of all folds) and peak_memory_gib (of the largest fold, if one of our trainers recorded it). Where folds
    differ, a fact is a text with the value of each; unlike_folds names these facts.
    """
    facts = facts_of_plans(model.plans, model.configuration) | {"trainer": model.trainer or None}
    facts["dataset_cases"] = model.dataset.get("numTraining")
    folds = {fold.name: facts_of_fold(fold, model.logs[fold.name]) for fold in model.folds}
    facts |= _merged(folds)
    for name in ("splits", "training_cases", "validated_with"):
        found = {fold: one[name] for fold, one in folds.items() if one[name] is not None}
        facts[name] = found if len(found) == len(folds) and found else None
    ends = [one["finished"] for one in folds.values()]
    facts["finished"] = False if False in ends else None if None in ends else True
    return {
        name: value for name, value in (facts | _cost(model, folds)).items() if value is not None
    }


def facts_of_fold(fold: Path, log: TrainingLog) -> dict[str, Any]:
    """Facts of one fold; those that are not recorded are None or left out.

    plans.json is overwritten by every training; debug.json has the configuration that this fold was trained with.
    """
    file = fold / "debug.json"
    debug = read_object(file) if file.is_file() else {}
    cases = validation_cases(fold)
    every = len(cases) if trains_on_all(fold) and cases else None
    ours = (
        log.finished and "nnunet_version" in debug
    )  # our trainers log each checkpoint that they load
    return {
        **facts_of_configuration(_as_trained(debug)),
        **_typed(debug),
        "splits": cases or None,
        "training_cases": log.training_cases or every,
        "finished": is_finished(fold, log),
        "validated_with": log.validated_with or ("checkpoint_final.pth" if ours else None),
    }


def is_finished(fold: Path, log: TrainingLog) -> bool | None:
    """Whether a fold's training reached its last epoch; None if neither a log nor a checkpoint shows it."""
    if log.has_epochs:
        return log.finished
    if (
        fold / "checkpoint_final.pth"
    ).is_file():  # nnU-Net's zip has no log; it writes this file at the end
        return True
    return False if (fold / "checkpoint_latest.pth").is_file() else None


def facts_of_plans(plans: Mapping[str, Any], configuration: str) -> dict[str, Any]:
    """Facts that plans state about a configuration's training; ``{}`` if it is not among them."""
    resolved = resolve(plans, configuration)
    if not resolved:
        return {}
    return {
        "dataset": plans.get("dataset_name"),
        "plans": plans.get("plans_name"),
        "configuration": without_seed(configuration, seed_of(resolved)),
        **facts_of_configuration(resolved),
    }


def seed_of(resolved: Mapping[str, Any]) -> int | None:
    """The seed of a configuration's training; None without one."""
    found = resolved.get("training", {}).get("seed")
    return found if isinstance(found, int) else None


def without_seed(name: str, seed: int | None) -> str:
    """The name of a configuration, or one that ends like it, without the part that states its seed.

    >>> without_seed("3d_fullres_seed2", 2), without_seed("3d_fullres_seed2", 1)
    ('3d_fullres', '3d_fullres_seed2')
    """
    return name if seed is None else re.sub(rf"_(seed|s){seed}(?= |$)", "", name)


def facts_of_configuration(resolved: Mapping[str, Any]) -> dict[str, Any]:
    """Facts that a configuration states about a training; ``{}`` for an empty one."""
    if not resolved:
        return {}
    training = resolved.get("training", {})
    name = resolved.get("architecture", resolved)
    name = name.get("network_class_name") or name.get("UNet_class_name") or ""
    return {
        "network": name.rpartition(".")[2] or None,
        "batch_size": resolved.get("batch_size"),
        "patch_size": resolved.get("patch_size"),
        "spacing": resolved.get("spacing"),
        "normalization": resolved.get("normalization_schemes"),
        "memory_target_gb": resolved.get("memory", {}).get("target_gb"),
        **{
            fact: training[fact]
            for fact in ("epochs", "iterations_per_epoch", *PROCEDURE)
            if fact in training
        },
    }


def planned_for_another_dataset(model: ModelFolder) -> bool:
    """Whether the plans have other intensities than the dataset's fingerprint, as plans moved for fine-tuning do."""
    key = "foreground_intensity_properties_per_channel"
    file = model.path / "dataset_fingerprint.json"
    try:
        own = read_object(file).get(key) if file.is_file() else None
    except UserError:
        return False
    planned = model.plans.get(key)
    return bool(own) and bool(planned) and own != planned


def _merged(folds: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The facts of all folds; a text with each fold's value where they differ."""
    facts: dict[str, Any] = {}
    unlike = []
    for name in dict.fromkeys(name for one in folds.values() for name in one):
        known = {fold: one[name] for fold, one in folds.items() if one.get(name) is not None}
        if name in _OF_FOLD or not known:
            continue
        values = [*known.values()]
        if all(value == values[0] for value in values):
            facts[name] = values[0]
            continue
        unlike.append(name)
        groups: dict[str, list[str]] = {}
        for fold, value in known.items():
            groups.setdefault(_text(value), []).append(fold)
        facts[name] = ", ".join(f"{text} ({', '.join(of)})" for text, of in groups.items())
    return facts | ({"unlike_folds": unlike} if unlike else {})


def _cost(model: ModelFolder, folds: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    logs = model.logs
    seconds = [value for log in logs.values() for value in log.seconds.values()]
    steps = []
    for name, log in logs.items():
        count = folds[name].get("iterations_per_epoch")
        if count:
            each = count + folds[name].get("validation_iterations", 0)
            steps += [value / each for value in log.seconds.values()]
    return {
        "peak_memory_gib": max(
            (log.peak_gib for log in logs.values() if log.peak_gib), default=None
        ),
        "training_hours": sum(seconds) / 3600
        if all(log.seconds for log in logs.values())
        else None,
        "seconds_a_step": statistics.median(steps) if steps else None,
    }


def _as_trained(debug: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration in debug.json, which is written as Python's repr; {} if it cannot be read."""
    try:
        found = ast.literal_eval(debug["configuration_manager"])
    except (KeyError, ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return {}
    return with_architecture(found) if isinstance(found, dict) else {}


def _typed(debug: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for fact, (key, kind) in (DEBUG_KEYS | OUR_KEYS).items():
        try:
            found[fact] = kind(debug[key])
        except (KeyError, ValueError, TypeError):
            continue
    return found


def _text(value: Any) -> str:
    return " x ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
