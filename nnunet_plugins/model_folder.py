"""What nnU-Net's folder of a trained model tells in plain text; no checkpoint is loaded."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.cases import label_maps
from nnunet_plugins.plans_file import resolve

#: What nnU-Net's debug.json calls a fact; its values are text.
_DEBUG = {
    "epochs": ("num_epochs", int),
    "iterations_per_epoch": ("num_iterations_per_epoch", int),
    "validation_iterations": ("num_val_iterations_per_epoch", int),
    "batch_size": ("batch_size", int),
    "initial_lr": ("initial_lr", float),
    "weight_decay": ("weight_decay", float),
    "oversample_foreground": ("oversample_foreground_percent", float),
    "device": ("device", str),
    "torch": ("torch_version", str),
    "network": ("network", str),
}
#: Entries of a configuration's `training` (see `procedure`) beyond the budget.
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
_EPOCH = re.compile(r": Epoch (\d+)\s*$")
_SECONDS = re.compile(r": Epoch time: ([\d.]+) s")
_PEAK = re.compile(r": peak memory allocated: ([\d.]+) GiB")  # our trainers'


def is_model(folder: Path) -> bool:
    """Whether nnU-Net trained a model here."""
    return (
        folder.is_dir()
        and all((folder / name).is_file() for name in ("plans.json", "dataset.json"))
        and any(folder.glob("fold_*"))
    )


def name_parts(folder: Path) -> tuple[str, str]:
    """Trainer and configuration from the folder's name, TRAINER__PLANS__CONFIGURATION; '' where it has none."""
    parts = folder.absolute().name.split("__")
    return (parts[0], parts[2]) if len(parts) == 3 else ("", "")


def find_folds(folder: Path, wanted: list[str] | None) -> list[Path]:
    """The folds' folders: those that are wanted, else all numbered ones, else fold_all.

    Raises:
        UserError: a fold that is not there.
    """
    there = {one.name.removeprefix("fold_"): one for one in sorted(folder.glob("fold_*"))}
    if wanted:
        for fold in wanted:
            if fold not in there:
                raise UserError(f"{folder}: no fold_{fold}; there are: {', '.join(there)}")
        return [there[fold] for fold in dict.fromkeys(wanted)]
    return [one for fold, one in there.items() if fold.isdigit()] or list(there.values())


def read_json(path: Path) -> Any:
    """Read one of nnU-Net's files.

    Raises:
        UserError: it is not there or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error})") from error


def facts_of_model(folder: Path, folds: list[Path]) -> dict[str, Any]:
    """Facts for `fairness.differences`, and what the training cost.

    The cost: seconds_a_step (median epoch time over its training and validation steps), training_hours (all epochs of
    the folds), peak_memory_gib (the largest fold's, where one of our trainers noted it), parameters. What is nowhere
    is left out.
    """
    trainer, configuration = name_parts(folder)
    plans = read_json(folder / "plans.json")
    facts = facts_of_plans(plans, configuration) | {"trainer": trainer or None}
    logs = [read_logs(fold) for fold in folds]
    for fold in folds:
        if (fold / "debug.json").is_file():
            facts |= _said(read_json(fold / "debug.json"))
    facts["splits"] = {fold.name: validated(fold) for fold in folds}
    facts["finished"] = all(log["finished"] for log in logs) if logs else None
    seconds = [one for log in logs for one in log["seconds"]]
    steps = facts.get("iterations_per_epoch")
    if peaks := [log["peak"] for log in logs if log["peak"]]:
        facts["peak_memory_gib"] = max(peaks)
    if seconds:
        facts["training_hours"] = sum(seconds) / 3600
        if steps:
            facts["seconds_a_step"] = statistics.median(seconds) / (
                steps + facts.get("validation_iterations", 0)
            )
    return {name: value for name, value in facts.items() if value is not None}


def facts_of_plans(plans: Mapping[str, Any], configuration: str) -> dict[str, Any]:
    """What plans say of a configuration's training; ``{}`` where they have no such configuration."""
    resolved = resolve(plans, configuration)
    if not resolved:
        return {}
    training = resolved.get("training", {})
    name = resolved.get("architecture", {}).get("network_class_name", "")
    return {
        "dataset": plans.get("dataset_name"),
        "plans": plans.get("plans_name"),
        "configuration": configuration,
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


def read_logs(fold: Path) -> dict[str, Any]:
    """Epoch times of the last training of a fold, continued ones included, and whether it came to its end."""
    seconds: dict[int, float] = {}
    finished, epoch, peak = False, None, 0.0
    for log in sorted(fold.glob("training_log_*.txt")):
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            if found := _EPOCH.search(line):
                epoch = int(found[1])
                if epoch == 0:  # begun anew
                    seconds.clear()
                finished = False
            elif (found := _SECONDS.search(line)) and epoch is not None:
                seconds[epoch] = float(found[1])
            elif found := _PEAK.search(line):
                peak = max(peak, float(found[1]))
            elif "Training done" in line:
                finished = True
    return {"seconds": list(seconds.values()), "finished": finished, "peak": peak}


def validated(fold: Path) -> list[str]:
    """Names of the cases that a fold was validated on."""
    folder = fold / "validation"
    try:
        return sorted(label_maps(folder))
    except UserError:
        pass
    if (folder / "summary.json").is_file():
        found = read_json(folder / "summary.json")["metric_per_case"]
        return sorted(case_name(one["prediction_file"]) for one in found)
    return []


def case_name(path: str) -> str:
    """A case's name from a path that may be of another system."""
    return re.split(r"[\\/]", path)[-1].partition(".")[0]


def _said(debug: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for fact, (key, kind) in _DEBUG.items():
        try:
            found[fact] = kind(debug[key])
        except (KeyError, ValueError, TypeError):
            continue
    return found
