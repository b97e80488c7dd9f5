"""nnU-Net's folder of a trained model, read from its text files; no checkpoint is loaded."""

from __future__ import annotations

import os
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.cases import label_maps
from nnunet_plugins.plans_file import read_object, resolve
from nnunet_plugins.training_log import TrainingLog, read_training_log

#: Fact -> its key and type in nnU-Net's debug.json, where all values are strings.
DEBUG_KEYS = {
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


@dataclass(frozen=True)
class ModelFolder:
    """A folder that nnUNetv2_train wrote.

    Attributes:
        path: TRAINER__PLANS__CONFIGURATION; holds plans.json and dataset.json.
        folds: folders of the selected folds.
    """

    path: Path
    folds: tuple[Path, ...]

    @cached_property
    def plans(self) -> dict[str, Any]:
        """The content of plans.json."""
        return read_object(self.path / "plans.json")

    @cached_property
    def dataset(self) -> dict[str, Any]:
        """The content of dataset.json."""
        return read_object(self.path / "dataset.json")

    @cached_property
    def logs(self) -> dict[str, TrainingLog]:
        """Name of a fold -> its training log."""
        return {fold.name: read_training_log(fold) for fold in self.folds}

    @cached_property
    def debug(self) -> list[dict[str, Any]]:
        """The content of debug.json, of every fold that has one."""
        files = [fold / "debug.json" for fold in self.folds]
        return [read_object(file) for file in files if file.is_file()]

    @property
    def trainer(self) -> str:
        """From the folder's name; '' if it has another form."""
        return self._name_parts[0]

    @property
    def configuration(self) -> str:
        """From the folder's name; '' if it has another form."""
        return self._name_parts[2]

    @property
    def _name_parts(self) -> tuple[str, ...]:
        parts = self.path.absolute().name.split("__")
        return tuple(parts) if len(parts) == 3 else ("", "", "")


def is_model(path: Path) -> bool:
    """Whether a folder holds a model that nnU-Net trained."""
    return (
        path.is_dir()
        and all((path / name).is_file() for name in ("plans.json", "dataset.json"))
        and any(path.glob("fold_*"))
    )


def read_model(path: Path, folds: Sequence[str] | None = None) -> ModelFolder:
    """Return a model with the given folds; by default all numbered folds, or fold_all if there are none.

    Raises:
        UserError: a fold does not exist.
    """
    found = {one.name.removeprefix("fold_"): one for one in sorted(path.glob("fold_*"))}
    for fold in folds or ():
        if fold not in found:
            raise UserError(f"{path}: no fold_{fold}; available: {', '.join(found)}")
    names = dict.fromkeys(folds or [name for name in found if name.isdigit()] or found)
    return ModelFolder(path, tuple(found[name] for name in names))


def facts_of_model(model: ModelFolder) -> dict[str, Any]:
    """Facts for `fairness.differences`, and the cost of the training; unknown facts are left out.

    The cost: seconds_a_step (median epoch time divided by its training and validation steps), training_hours (all
    epochs of all folds) and peak_memory_gib (of the largest fold, if one of our trainers recorded it).
    """
    facts = facts_of_plans(model.plans, model.configuration) | {"trainer": model.trainer or None}
    for debug in model.debug:
        facts |= _typed(debug)
    logs = list(model.logs.values())
    facts["splits"] = {fold.name: validation_cases(fold) for fold in model.folds}
    facts["finished"] = all(log.finished for log in logs) if logs else None
    facts["peak_memory_gib"] = max((log.peak_gib for log in logs if log.peak_gib), default=None)
    seconds = [value for log in logs for value in log.seconds.values()]
    steps = facts.get("iterations_per_epoch")
    if seconds:
        facts["training_hours"] = sum(seconds) / 3600
        if steps:
            steps += facts.get("validation_iterations", 0)
            facts["seconds_a_step"] = statistics.median(seconds) / steps
    return {name: value for name, value in facts.items() if value is not None}


def facts_of_plans(plans: Mapping[str, Any], configuration: str) -> dict[str, Any]:
    """Facts that plans state about a configuration's training; ``{}`` if it is not among them."""
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


def validation_cases(fold: Path) -> list[str]:
    """Names of the cases on which a fold was validated."""
    folder = fold / "validation"
    try:
        return sorted(label_maps(folder))
    except UserError:
        pass
    if (folder / "summary.json").is_file():
        found = read_object(folder / "summary.json")["metric_per_case"]
        return sorted(case_name(one["prediction_file"]) for one in found)
    return []


def case_name(path: str) -> str:
    r"""A case's name from a path in nnU-Net's JSON, which may come from another operating system.

    >>> case_name(r"D:\nnUNet_results\validation\case_07.nii.gz")
    'case_07'
    """
    return re.split(r"[\\/]", path)[-1].partition(".")[0]


def stored_references(dataset: str) -> Path | None:
    """Folder in which nnU-Net keeps the reference label maps of a dataset, if it exists."""
    places = (("nnUNet_preprocessed", "gt_segmentations"), ("nnUNet_raw", "labelsTr"))
    return next((found for place in places if (found := _stored(dataset, *place))), None)


def stored_images(dataset: str) -> Path | None:
    """Folder in which nnU-Net keeps the training images of a dataset, if it exists."""
    return _stored(dataset, "nnUNet_raw", "imagesTr")


def _stored(dataset: str, variable: str, name: str) -> Path | None:
    root = os.environ.get(variable)
    folder = Path(root or "") / dataset / name
    return folder if root and dataset and folder.is_dir() else None


def _typed(debug: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for fact, (key, kind) in DEBUG_KEYS.items():
        try:
            found[fact] = kind(debug[key])
        except (KeyError, ValueError, TypeError):
            continue
    return found
