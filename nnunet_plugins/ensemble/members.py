"""Trained models with the validation predictions by which they are chosen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset_conversion.labels import region_order
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.cases import listed
from nnunet_plugins.evaluation.labels import Labels, read_labels
from nnunet_plugins.evaluation.validation import FOLDER, validation_maps, why_trained_on
from nnunet_plugins.model_folder import is_model, read_model, scored_folds
from nnunet_plugins.prediction.model import CHECKPOINT, Model
from nnunet_plugins.prediction.record import weights_of

#: Entries of dataset.json in which the models of an ensemble are equal.
_SAME = ("labels", "regions_class_order", "channel_names", "file_ending", "nnunet_plugins")


@dataclass(frozen=True)
class Member:
    """A trained model.

    Attributes:
        path: TRAINER__PLANS__CONFIGURATION.
        folds: names of the folds with a validation.
        maps: case -> its label map in the validation of one fold.
        dataset: the content of dataset.json.
        name: of the dataset, from the plans.
        weights: digests of its files, see `prediction.record.weights_of`.
    """

    path: Path
    folds: tuple[str, ...]
    maps: dict[str, Path]
    dataset: dict[str, Any]
    name: str
    weights: dict[str, Any]

    @property
    def labels(self) -> Labels:
        """Labels and ignore label."""
        return read_labels(self.path / "dataset.json", "dataset.json of the model")

    @property
    def order(self) -> list[int] | None:
        """Values of the regions; None without regions."""
        found = self.dataset.get("regions_class_order")
        return None if found is None else [int(value) for value in found]

    def probabilities(self, case: str) -> Path:
        """The .npz file of a validation case.

        Raises:
            UserError: it does not exist.
        """
        path = self.maps[case].parent / f"{case}.npz"
        if not path.is_file():
            raise UserError(
                f"{self.path}: {path.parent.parent.name} has no probabilities of its validation cases; save them "
                "with nnUNetv2_train ... --val --npz, or compare single models only with --members 1"
            )
        return path


def read_members(paths: Sequence[Path], folds: Sequence[str] | None = None) -> list[Member]:
    """Models that were validated on the same cases, with the same labels.

    Args:
        paths: model folders.
        folds: names; None takes all folds with a validation.

    Raises:
        UserError: not a model, a model twice, a case in two folds, cases that were trained on, or models that
            differ in their cases, labels or image formats.
    """
    twice = [path for path, n in Counter(path.resolve() for path in paths).items() if n > 1]
    if twice:
        raise UserError(f"{twice[0]}: given twice; an average needs different models")
    members = [_member(path, folds) for path in paths]
    first = members[0]
    check_same_dataset({one.path: one.dataset for one in members})
    for other in members[1:]:
        apart = sorted(set(first.maps).symmetric_difference(other.maps))
        if apart:
            raise UserError(
                f"{other.path}: validated on other cases than {first.path} ({len(apart)} cases in one only: "
                f"{listed(apart)}); train the same folds, or select common ones with -f"
            )
    return members


def check_same_dataset(datasets: Mapping[Path, Mapping[str, Any]]) -> None:
    """Check that models read the same images and write the same labels.

    Args:
        datasets: model folder -> the content of its dataset.json.

    Raises:
        UserError: they differ.
    """
    (first, known), *others = datasets.items()
    for path, dataset in others:
        pairs = {key: (known.get(key), dataset.get(key)) for key in _SAME}
        orders = (region_order(one.get("labels", {})) for one in (known, dataset))
        for key, (a, b) in {**pairs, "order of regions": tuple(orders)}.items():
            if a != b:
                raise UserError(
                    f"{path}: {key} is {b!s:.80}, in {first} it is {a!s:.80}; an ensemble needs models of the same "
                    "dataset"
                )


def _member(path: Path, asked: Sequence[str] | None) -> Member:
    if not is_model(path):
        raise UserError(
            f"{path}: not a trained model; give a folder TRAINER__PLANS__CONFIGURATION in nnUNet_results"
        )
    model, _ = scored_folds(read_model(path, asked), asked)
    maps: dict[str, Path] = {}
    for fold in model.folds:
        if reason := why_trained_on(fold):
            raise UserError(
                f"{path}: {reason}; a choice needs cases that were not trained on: select folds with -f"
            )
        found = validation_maps(fold)
        if not found:
            raise UserError(
                f"{fold / FOLDER}: no label maps; validate again (nnUNetv2_train ... --val --npz)"
            )
        if twice := sorted(set(maps).intersection(found)):
            raise UserError(
                f"{path}: {len(twice)} cases are in the validation of two folds ({listed(twice)}); folds must not "
                "overlap: select folds of one split with -f"
            )
        maps |= found
    names = tuple(fold.name.removeprefix("fold_") for fold in model.folds)
    weights = weights_of(Model(path, names, CHECKPOINT, model.dataset))
    return Member(
        path, names, maps, model.dataset, str(model.plans.get("dataset_name", "")), weights
    )
