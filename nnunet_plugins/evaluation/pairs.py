"""Predictions and references are paired by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.file_names import check_name
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.cases import ENDINGS, VOLUMES, listed, without_ending
from nnunet_plugins.evaluation.structures import structure_folders
from nnunet_plugins.natural_images import is_natural
from nnunet_plugins.predicted_files import maps_in
from nnunet_plugins.text_table import count

CHANNEL = "_0000"  # nnU-Net's suffix of the first channel of an image


@dataclass(frozen=True)
class Pair:
    """A case: the files of a prediction and of its reference; a folder, if each structure has a file."""

    name: str
    prediction: Path
    reference: Path


def find_pairs(
    prediction: Path, reference: Path, *, chill: bool = False
) -> tuple[list[Pair], list[str]]:
    """Pair predictions with references by file name without the ending; two files form one pair.

    Args:
        prediction: a file, a folder of files, or a folder of folders with one file per structure.
        reference: a file or a folder.
        chill: leave out references without a prediction and report them in the notes.

    Returns:
        Pairs, sorted by name, and notes on files that were left out.

    Raises:
        UserError: no label maps, two files with the same name, or a reference without prediction.
    """
    predictions, references = structure_folders(prediction, reference), label_maps(reference)
    predictions = predictions or label_maps(prediction)
    if prediction.is_file() and reference.is_file():
        (name,) = references
        return [Pair(name, prediction, reference)], []
    missing = sorted(references.keys() - predictions.keys())
    common = sorted(references.keys() & predictions.keys())
    if missing and not (chill and common):
        raise UserError(
            f"evaluate: {len(missing)} of {len(references)} references in {reference} have no "
            f"prediction in {prediction}: {listed(missing)}; {_fix_of(missing, predictions, references)}"
            + (", or pass --chill to score only what was predicted" if common else "")
        )
    notes = []
    if missing:
        notes.append(
            f"left out: {count(len(missing), 'reference')} without prediction: {listed(missing)}"
        )
    extra = sorted(predictions.keys() - references.keys())
    if extra:
        notes.append(
            f"left out: {count(len(extra), 'prediction')} without reference: {listed(extra)}"
        )
    return [Pair(name, predictions[name], references[name]) for name in common], notes


def label_maps(path: Path, who: str = "evaluate", *, skipped: str = "") -> dict[str, Path]:
    """Name -> file, for a file or for all label maps directly in a folder.

    In a folder of volumes, natural images are not label maps: nnU-Net and others write pictures there. Maps of the
    uncertainty that `predict` wrote are not, either.

    Args:
        path: the file or folder.
        who: the command, for messages.
        skipped: ending of files that are left out.

    Raises:
        UserError: the path does not exist, or no file or two files of one name are found.
    """
    if not path.exists():
        raise UserError(f"{who}: {path} does not exist; pass a label map or a folder of them")
    found: dict[str, Path] = {}
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    if any(one.name.lower().endswith(VOLUMES) for one in files):
        files = [one for one in files if not is_natural(one)]
    maps = maps_in(path) if path.is_dir() else set()
    for file in (file for file in files if file.name not in maps):
        try:
            check_name(file)
        except DatasetError as error:
            raise UserError(f"{who}: {error}") from error
        name = without_ending(file.name)
        left_out = bool(skipped) and file.name.lower().endswith(skipped)
        if name == file.name or file.name.startswith(".") or left_out or not file.is_file():
            continue
        if name in found:
            raise UserError(
                f"{who}: {found[name]} and {file.name} have the same case name; keep one of them"
            )
        found[name] = file
    if not found:
        raise UserError(f"{who}: no label map in {path}; allowed endings: {', '.join(ENDINGS)}")
    return found


def _fix_of(
    missing: Sequence[str], predictions: Mapping[str, Path], references: Mapping[str, Path]
) -> str:
    """What to do about references without a prediction.

    Args:
        missing: names of these references.
        predictions: name -> file.
        references: name -> file.

    >>> _fix_of(["a"], {"a_0000": Path("p/a_0000.nii.gz")}, {"a": Path("r/a.nii.gz")})
    'a_0000.nii.gz is named like an image (channel 0000), not like a label map: rename it to a.nii.gz'
    """
    like_images = [name for name in missing if name + CHANNEL in predictions]
    if like_images:
        name = like_images[0]
        file = predictions[name + CHANNEL].name
        return (
            f"{_and_more(file, len(like_images))} named like an image (channel 0000), not like a label map: rename "
            f"it to {name}{file.removeprefix(name + CHANNEL)}"
        )
    images = [name for name in missing if name.removesuffix(CHANNEL) in predictions]
    if images:
        file = references[images[0]].name
        return (
            f"{_and_more(file, len(images))} named like an image (channel 0000), not like a reference: pass the "
            "folder of the reference label maps"
        )
    others = sorted(set(predictions) - set(references))
    seen = f" (the predictions without a reference begin with {others[0]})" if others else ""
    return f"predict these cases too{seen}"


def _and_more(file: str, files: int) -> str:
    return f"{file} is" if files == 1 else f"{file} and {files - 1} more files are"
