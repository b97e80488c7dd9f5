"""The validation of a fold of nnU-Net: its cases, and whether they were trained on.

nnU-Net's fold 'all' trains on every case and then 'validates' on the same cases. Facts come from the files that
nnU-Net keeps with a fold.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.cases import without_ending
from nnunet_plugins.evaluation.pairs import label_maps
from nnunet_plugins.plans_file import read_any, read_object
from nnunet_plugins.training_log import TrainingLog, read_training_log

FOLDER = "validation"
SUMMARY = "summary.json"
CROSS_VALIDATION = "crossval_results_folds"  # nnU-Net's folder of all folds' validation cases
TRAINED_ON = "NOT A VALIDATION: {}; these are scores of training cases and do not show how new cases are segmented"
#: Endings of nnU-Net's readers that this project does not read as label maps.
_OTHER_ENDINGS = (".gipl", ".png", ".bmp", ".tif", ".tiff")


def fold_of(predictions: Path) -> Path | None:
    """The fold of a model whose validation a folder or file of predictions is; None for other predictions."""
    folder = (predictions if predictions.is_dir() else predictions.parent).resolve()
    return folder.parent if folder.name == FOLDER and is_fold(folder.parent) else None


def doubt_of(predictions: Path, reference: Path) -> str:
    """A note on predictions of training cases of the dataset that their model was trained on; '' for others.

    nnU-Net copies plans.json, which names the dataset, next to predictions.
    """
    folder = (predictions if predictions.is_dir() else predictions.parent).resolve()
    truth = (reference if reference.is_dir() else reference.parent).resolve()
    if truth.name not in ("labelsTr", "gt_segmentations") or folder.name.startswith(
        CROSS_VALIDATION
    ):
        return ""
    if (
        fold_of(predictions)
        or _object(folder / "plans.json").get("dataset_name") != truth.parent.name
    ):
        return ""
    return (
        f"the references are training cases of {truth.parent.name}, on which the model was trained: unless a fold "
        "predicted only its validation cases, these are scores of training cases"
    )


def is_fold(folder: Path) -> bool:
    """Whether a folder is a fold in a model folder of nnU-Net."""
    folder = folder.absolute()
    files = [folder.parent / name for name in ("plans.json", "dataset.json")]
    return folder.name.startswith("fold_") and all(one.is_file() for one in files)


def has_validation(fold: Path) -> bool:
    """Whether a fold has validation predictions, or nnU-Net's scores of them."""
    return bool(validation_maps(fold)) or (fold / FOLDER / SUMMARY).is_file()


def validation_maps(fold: Path) -> dict[str, Path]:
    """Name -> file of a fold's validation predictions; empty if there are none."""
    folder = fold / FOLDER
    try:
        return label_maps(folder) if folder.is_dir() else {}
    except UserError:  # no label map
        return {}


def validation_cases(fold: Path) -> list[str]:
    """Names of the cases on which a fold was validated, by its predictions and nnU-Net's summary.json."""
    return sorted({*validation_maps(fold), *summarised_cases(fold)})


def summarised_cases(fold: Path) -> list[str]:
    """Names of the cases in a fold's summary.json; empty without one.

    Raises:
        UserError: the file cannot be read.
    """
    return sorted(name for name, _ in summary_of(fold))


def summary_of(fold: Path) -> list[tuple[str, dict[str, dict[str, Any]]]]:
    """Case and nnU-Net's metrics by label, for each entry of a fold's summary.json; empty without one.

    Raises:
        UserError: the file cannot be read, or is not that of nnU-Net v2.
    """
    file = fold / FOLDER / SUMMARY
    if not file.is_file():
        return []
    content, ending = read_object(file), file_ending(fold.parent)
    try:
        entries = [
            (one["prediction_file"], dict(one["metrics"])) for one in content["metric_per_case"]
        ]
        return [(case_name(path, ending), metrics) for path, metrics in entries]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{file}: not a summary of nnU-Net v2 ({error!r}); validate again (nnUNetv2_train ... --val)"
        ) from error


def file_ending(model: Path) -> str:
    """Ending of a model's label maps, e.g. .nii.gz; '' if its dataset.json does not state it."""
    ending = _object(model / "dataset.json").get("file_ending")
    return ending if isinstance(ending, str) else ""


def case_name(path: str, ending: str = "") -> str:
    r"""A case's name from a path in nnU-Net's JSON, which may come from another operating system.

    Args:
        path: of a prediction.
        ending: of the dataset's files; '' allows all endings of nnU-Net's readers.

    >>> case_name(r"D:\nnUNet_results\validation\1.2.840.7.nii.gz", ".nii.gz")
    '1.2.840.7'
    """
    name = re.split(r"[\\/]", path)[-1]
    for one in (ending, *_OTHER_ENDINGS):
        if one and name.lower().endswith(one.lower()):
            return name[: -len(one)]
    return without_ending(name)


def trains_on_all(fold: Path) -> bool:
    """Whether a fold was trained as fold 'all', also if its folder was renamed."""
    return fold.name == "fold_all" or _object(fold / "debug.json").get("fold") == "all"


def why_trained_on(fold: Path, log: TrainingLog | None = None) -> str:
    """Why a fold's validation cases were trained on; '' if nothing shows that they were.

    Args:
        fold: its folder, in the model folder.
        log: of the fold; None reads it.

    >>> why_trained_on(Path("MODEL/fold_all"))
    'fold_all was trained on every case, and validated on the same cases'
    """
    name = fold.name
    if trains_on_all(fold):
        renamed = "" if name == "fold_all" else ", as fold all (debug.json),"
        return f"{name} was trained{renamed} on every case, and validated on the same cases"
    log = log or read_training_log(fold)
    if log.overlaps:
        return f"{name}: nnU-Net's log warns that validation cases are in the training set"
    cases = validation_cases(fold)
    every = _object(fold.parent / "dataset.json").get("numTraining")
    if log.training_cases is None and isinstance(every, int) and 0 < every <= len(cases):
        return f"{name} was validated on all {every} training cases of the dataset"
    shared = set(cases).intersection(training_cases(fold) or ())
    if shared:
        return f"{name}: {len(shared)} of its {len(cases)} validation cases are in its training set"
    return ""


def training_cases(fold: Path) -> list[str] | None:
    """A fold's training cases by nnU-Net's splits_final.json; None if that is not there, or not of this training."""
    number = fold.name.removeprefix("fold_")
    dataset = _object(fold.parent / "plans.json").get("dataset_name")
    root = os.environ.get("nnUNet_preprocessed")
    if not (number.isdigit() and root and isinstance(dataset, str)):
        return None
    try:
        split = read_any(Path(root) / dataset / "splits_final.json")[int(number)]
        return list(split["train"]) if set(split["val"]) == set(validation_cases(fold)) else None
    except (LookupError, TypeError, UserError):
        return None


def trained_among(fold: Path, cases: Iterable[str]) -> list[str]:
    """Those of the cases that have the name of a training case of a fold, as far as nnU-Net's files show it."""
    known = validation_cases(fold) if trains_on_all(fold) else training_cases(fold)
    return sorted(set(cases).intersection(known or ()))


def _object(path: Path) -> dict[str, Any]:
    """The object in a JSON file; {} if there is none, or a damaged one, which its reader reports."""
    try:
        return read_object(path) if path.is_file() else {}
    except UserError:
        return {}
