"""The mask of each case: predicted by a segmenter that was not trained on the case.

A mask of a training case is better than that of a new patient, and a classifier that is trained on such masks, or
tested with them, looks better than it is. nnU-Net's files show which cases a fold was trained on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset_conversion.errors import some
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.cases import read
from nnunet_plugins.evaluation.pairs import label_maps
from nnunet_plugins.evaluation.reference_identity import identify
from nnunet_plugins.evaluation.validation import (
    training_cases,
    trains_on_all,
    validation_cases,
    validation_maps,
)
from nnunet_plugins.model_folder import ModelFolder, read_model

REFERENCES = "REFERENCE MASKS: the lesions were drawn, not predicted; new patients will be classified less well"


@dataclass(frozen=True)
class Masks:
    """Where the masks are.

    Attributes:
        files: case -> label map.
        references: whether they were drawn, not predicted.
        notes: for the user, and for every output.
    """

    files: dict[str, Path]
    references: bool
    notes: tuple[str, ...] = ()


def reference_masks(cases: Iterable[str], folders: Sequence[Path]) -> Masks:
    """Return masks that were drawn.

    Args:
        cases: their names.
        folders: of the label maps.

    Raises:
        UserError: a case has no mask.
    """
    return Masks(_complete(cases, _maps(folders), folders), True, (REFERENCES,))


def drawn_folders(raw: Path) -> list[Path]:
    """Folders of a dataset that hold references."""
    both = (raw / "labelsTr", raw / "labelsTs")
    return [one for one in both if one.is_dir() and any(one.iterdir())]


def predicted_masks(
    cases: Iterable[str], model: Path, folders: Sequence[Path], *, raw: Path
) -> Masks:
    """Return masks that a segmenter predicted for cases that it was not trained on.

    Cases of the segmenter's cross-validation have the validation prediction of their fold; others that of a folder.

    Args:
        cases: their names.
        model: the segmenter's folder, TRAINER__PLANS__CONFIGURATION.
        folders: predictions of cases that no fold was trained on.
        raw: dataset of the cases, with any references; names are compared only with cases of the segmenter's own
            dataset.

    Raises:
        UserError: a mask is of a case that its segmenter was trained on, a case has no mask, nnU-Net's files do not
            show on which cases the segmenter was trained, or most masks of the folders are the references.
    """
    if not (model / "plans.json").is_file():
        raise UserError(
            f"{model}: not a trained model (plans.json missing); give the folder TRAINER__PLANS__CONFIGURATION"
        )
    segmenter = read_model(model)
    of = str(segmenter.plans.get("dataset_name", ""))
    wanted = list(cases)
    outside = _maps(folders)
    if of != raw.name:
        _check_not_drawn({case: outside[case] for case in wanted if case in outside}, raw)
        note = (
            f"the segmenter was trained on {of or 'an unknown dataset'}, the cases are of {raw.name}: whether they "
            "share patients is not known"
        )
        return Masks(_complete(wanted, outside, folders), False, (note,))
    trained = _trained(segmenter)
    seen = set().union(*trained.values())
    own = {
        name: file
        for fold in segmenter.folds
        for name, file in validation_maps(fold).items()
        if name not in trained[fold.name]
    }
    used = {case: outside[case] for case in wanted if case in outside and case not in own}
    wrong = sorted(seen.intersection(used))
    if wrong:
        raise UserError(
            f"masks in fold: {some(wrong)}: the segmenter was trained on {'it' if len(wrong) == 1 else 'them'}, and "
            "no fold validated on it has a prediction; finish the cross-validation (nnUNetv2_train ... --val), or "
            "leave the case out"
        )
    _check_not_drawn(used, raw)
    return Masks(_complete(wanted, {**used, **own}, [*folders, model]), False)


def _check_not_drawn(masks: Mapping[str, Path], raw: Path) -> None:
    """Check that masks are not copies of the references; a single small lesion may be predicted as it was drawn."""
    drawn = _maps(drawn_folders(raw))
    found = {case: read(file) for case, file in masks.items() if case in drawn}
    found = {case: mask for case, mask in found.items() if mask.voxels.any()}
    copies = [c for c in found if identify(found[c]).voxels == identify(read(drawn[c])).voxels]
    if 2 * len(copies) > len(found):
        raise UserError(
            f"--masks: {len(copies)} of {len(found)} masks that are not empty are the references of {raw.name}, "
            f"voxel for voxel: {some(copies)}; pass predictions, or drawn masks with --reference-masks"
        )


def _trained(segmenter: ModelFolder) -> dict[str, set[str]]:
    """Name of a fold -> the cases that it was trained on."""
    found: dict[str, set[str]] = {}
    for fold in segmenter.folds:
        if trains_on_all(fold):
            found[fold.name] = set(validation_cases(fold))
            continue
        cases = training_cases(fold)
        if cases is None:
            raise UserError(
                f"{fold}: it is not known which cases it was trained on: nnU-Net's splits_final.json of "
                f"{segmenter.plans.get('dataset_name')} is not in nnUNet_preprocessed, or its validation cases are "
                "not those of the fold; set nnUNet_preprocessed, or finish the validation (nnUNetv2_train ... --val)"
            )
        found[fold.name] = set(cases)
    return found


def _maps(folders: Iterable[Path]) -> dict[str, Path]:
    return {
        name: file for folder in folders for name, file in label_maps(folder, "classify").items()
    }


def _complete(
    cases: Iterable[str], there: dict[str, Path], folders: Sequence[Path]
) -> dict[str, Path]:
    wanted = list(cases)
    missing = [case for case in wanted if case not in there]
    if missing:
        places = f" in {', '.join(map(str, folders))}" if folders else ""
        raise UserError(
            f"{len(missing)} of {len(wanted)} cases have no mask{places}: {some(missing)}; predict them "
            "(nnUNetv2_predict) and pass --masks DIR; a mask may be empty, but not missing"
        )
    return {case: there[case] for case in wanted}
