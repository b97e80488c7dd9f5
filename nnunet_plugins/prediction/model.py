"""A trained model folder, checked without loading any weights."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataset_conversion.raw_format.training_record import orientation_in
from nnunet_plugins.errors import UserError
from nnunet_plugins.planned_network import NotAllowedError, check_all_names
from nnunet_plugins.plans_file import read_object

CHECKPOINT = "checkpoint_final.pth"
_FOLD = re.compile(r"all|0|[1-9][0-9]*")
#: nnU-Net's readers that keep the order of the voxels; only with these are results on the image's grid.
READERS = ("SimpleITKIO", "NibabelIO", "NaturalImage2DIO", "Tiff3DIO")


@dataclass(frozen=True)
class Model:
    """A trained model folder (TRAINER__PLANS__CONFIGURATION) and the folds to use.

    Attributes:
        folder: holds plans.json, dataset.json and fold_N/.
        folds: names, as strings.
        checkpoint: file in each fold's folder.
        dataset: the content of dataset.json.
    """

    folder: Path
    folds: tuple[str, ...]
    checkpoint: str
    dataset: dict[str, Any]

    @property
    def ending(self) -> str:
        """File ending of the images, e.g. .nii.gz."""
        return str(self.dataset["file_ending"])

    @property
    def channels(self) -> int:
        """Number of images per case."""
        return len(self.dataset["channel_names"])

    @property
    def orientation(self) -> str | None:
        """Orientation of the training images, as our converters record it; None if it is not recorded."""
        return orientation_in(self.dataset, self.folder / "dataset.json")

    @property
    def warning(self) -> str:
        """Security warning to show before the model is loaded."""
        many = len(self.folds) > 1
        what = "are Python pickles" if many else "is a Python pickle"
        return (
            f"{self.checkpoint} of fold{'s' * many} {', '.join(self.folds)} {what}, which can run code when loaded: "
            "only use models from a source you trust"
        )


def find_model(
    folder: Path, folds: Sequence[str] | None = None, checkpoint: str = CHECKPOINT
) -> Model:
    """Check a model folder without loading any weights.

    Args:
        folder: what nnUNetv2_train wrote, e.g. nnUNet_results/Dataset.../TRAINER__PLANS__CONFIGURATION.
        folds: names; None takes all numbered folds that are trained, else fold_all.
        checkpoint: file in each fold's folder.

    Raises:
        UserError: not a model folder, a fold has no such checkpoint, or the plans name a network or layer that is
            not allowed.
    """
    missing = [name for name in ("plans.json", "dataset.json") if not (folder / name).is_file()]
    if missing:
        raise UserError(
            f"{folder}: not a trained model ({' and '.join(missing)} missing); give the folder "
            "TRAINER__PLANS__CONFIGURATION in nnUNet_results"
        )
    names = {p.parent.name.removeprefix("fold_") for p in folder.glob(f"fold_*/{checkpoint}")}
    trained = {one for one in names if _FOLD.fullmatch(one)}  # not fold_0_copy
    chosen = list(dict.fromkeys(folds or sorted(trained - {"all"}) or sorted(trained)))
    missing = [fold for fold in chosen if fold not in trained]
    if missing or not chosen:
        raise UserError(
            f"{folder}: fold {', '.join(missing) or 'none'} has no {checkpoint}; trained folds: "
            f"{', '.join(sorted(trained)) or 'none'} (choose with -f, or another file with -chk)"
        )
    _check_names(folder / "plans.json")
    dataset = read_object(folder / "dataset.json")
    missing = [key for key in ("labels", "file_ending", "channel_names") if key not in dataset]
    if missing:
        raise UserError(
            f"{folder / 'dataset.json'}: {' and '.join(missing)} missing; copy the model again"
        )
    return Model(folder, tuple(chosen), checkpoint, dataset)


def _check_names(plans: Path) -> None:
    try:
        check_all_names(read_object(plans), str(plans))
    except NotAllowedError as error:
        raise UserError(
            f"{error}. If you trust who made this model, predict with nnUNetv2_predict"
        ) from error
