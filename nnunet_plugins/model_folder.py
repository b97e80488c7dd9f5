"""nnU-Net's folder of a trained model, read from its text files; no checkpoint is loaded."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.validation import FOLDER, has_validation, is_fold
from nnunet_plugins.plans_file import read_object
from nnunet_plugins.training_log import TrainingLog, read_training_log

FINAL = "checkpoint_final.pth"


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


def model_of_fold(path: Path) -> tuple[Path, str] | None:
    """Model folder and fold of the path of a fold, or of its validation; None for other paths."""
    real = path.resolve()
    fold = real.parent if real.name == FOLDER else real
    found = real.is_dir() and is_fold(fold)
    return (fold.parent, fold.name.removeprefix("fold_")) if found else None


def read_model(path: Path, folds: Sequence[str] | None = None) -> ModelFolder:
    """Return a model with the given folds; by default all numbered folds, or fold_all if there are none.

    Raises:
        UserError: a fold does not exist.
    """
    found = {
        one.name.removeprefix("fold_"): one for one in sorted(path.glob("fold_*")) if one.is_dir()
    }
    for fold in folds or ():
        if fold not in found:
            raise UserError(f"{path}: no fold_{fold}; available: {', '.join(found)}")
    names = dict.fromkeys(folds or [name for name in found if name.isdigit()] or found)
    return ModelFolder(path, tuple(found[name] for name in names))


def scored_folds(model: ModelFolder, asked: Sequence[str] | None) -> tuple[ModelFolder, list[str]]:
    """The model with those of its folds that have a validation, and a note on the others.

    Args:
        model: with the selected folds.
        asked: names of the folds that were asked for; None leaves out folds without a validation.

    Raises:
        UserError: a fold that was asked for has no validation, or none has one.
    """
    there = [fold for fold in model.folds if has_validation(fold)]
    lacking = [fold.name for fold in model.folds if fold not in there]
    if not lacking:
        return model, []
    every = [fold for fold in sorted(model.path.glob("fold_*")) if has_validation(fold)]
    names = " ".join(fold.name.removeprefix("fold_") for fold in every)
    what = f"{' and '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} not finished"
    if asked or not there:
        fix = f"pass --fold {names}" if names else "finish the training (nnUNetv2_train ... --c)"
        raise UserError(f"{what}: no predictions of validation cases; {fix}")
    note = f"{what} (no predictions of validation cases) and left out; scored: {', '.join(f.name for f in there)}"
    return replace(model, folds=tuple(there)), [note]


def is_trained(fold: Path) -> bool:
    """Whether a fold is trained and validated; nnU-Net writes the summary last."""
    return (fold / FINAL).is_file() and (fold / "validation" / "summary.json").is_file()


def checkpoints_of(fold: Path) -> list[Path]:
    """The checkpoints of a fold; those that are incomplete are removed, as nnU-Net writes them in place."""
    found = []
    for file in fold.glob("checkpoint_*.pth"):
        if zipfile.is_zipfile(file):
            found.append(file)
        else:
            file.unlink()
    return found


def stored_references(dataset: str) -> Path | None:
    """Folder in which nnU-Net keeps the reference label maps of a dataset, if it exists."""
    places = (("nnUNet_preprocessed", "gt_segmentations"), ("nnUNet_raw", "labelsTr"))
    return next((found for place in places if (found := _stored(dataset, *place))), None)


def stored_images(dataset: str) -> Path | None:
    """Folder in which nnU-Net keeps the training images of a dataset, if it exists."""
    return _stored(dataset, "nnUNet_raw", "imagesTr")


def stored_splits(dataset: str) -> Path | None:
    """File in which nnU-Net keeps the folds of a dataset, if it exists."""
    return _stored(dataset, "nnUNet_preprocessed", "splits_final.json")


def _stored(dataset: str, variable: str, name: str) -> Path | None:
    root = os.environ.get(variable)
    found = Path(root or "") / dataset / name
    return found if root and dataset and found.exists() else None
