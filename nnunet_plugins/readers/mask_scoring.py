"""Masks of readers on disk: their folders, their scores, and copies of other masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.cases import listed, read, values_in
from nnunet_plugins.evaluation.labels import Labels, find_labels, labels_from_values
from nnunet_plugins.evaluation.measuring import Scoring
from nnunet_plugins.evaluation.pairs import find_pairs, label_maps
from nnunet_plugins.evaluation.patients import find_patients
from nnunet_plugins.evaluation.scoring import score_pairs
from nnunet_plugins.evaluation.summary import Scores
from nnunet_plugins.readers.reads import ALONE, ARMS, MODEL, check_known, check_names


@dataclass(frozen=True)
class MaskScoring:
    """Scores of all masks.

    Attributes:
        scores: (reader, arm) -> scores; (`MODEL`, `MODEL`) are those of the model.
        labels: that are scored.
        patients: case -> number of its patient; empty if they are not known.
        notes: what a reader of the tables must know.
    """

    scores: Mapping[tuple[str, str], Scores]
    labels: Labels
    patients: Mapping[str, int]
    notes: tuple[str, ...]


def mask_folders(folder: Path, order: Sequence[str] = ()) -> dict[tuple[str, str], Path]:
    """(Reader, arm) -> folder of masks, from FOLDER/READER/alone and FOLDER/READER/assisted.

    Args:
        folder: of all readers.
        order: names of readers that come first; the others are sorted.

    Raises:
        UserError: no such folder, a folder of a reader with another name in it, or a name that `check_names` refuses.
    """
    found = {}
    readers = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    check_names([*order, *(reader.name for reader in readers)], folder)
    for reader in readers:
        for arm in sorted(reader.iterdir()):
            if arm.name.startswith("."):
                continue
            if arm.name not in ARMS or not arm.is_dir():
                raise UserError(
                    f"{arm}: a reader's folder holds the folders {' and '.join(ARMS)}; rename or remove it"
                )
            found[reader.name, arm.name] = arm
    if not found:
        raise UserError(
            f"{folder}: no folder READER/alone or READER/assisted with masks; pass their parent with --masks"
        )
    places = {reader: place for place, reader in enumerate(order)}
    return dict(sorted(found.items(), key=lambda one: places.get(one[0][0], len(places))))


def score_masks(
    folders: Mapping[tuple[str, str], Path],
    reference: Path,
    *,
    model: Path | None = None,
    dataset_json: Path | None = None,
    groups: Path | None = None,
    patients: Mapping[str, int] | None = None,
    scoring: Scoring | None = None,
) -> MaskScoring:
    """Score the masks of every reader and arm.

    Labels are those of the dataset.json given, or next to or above the references, else the values in the references.

    Args:
        folders: (reader, arm) -> folder.
        reference: folder of the reference label maps.
        model: folder of the model's label maps.
        dataset_json: nnU-Net's dataset.json.
        groups: CSV file of cases and their patients.
        patients: case -> number of its patient; without them groups, or what a converted dataset records.
        scoring: metrics, processes, progress.

    Raises:
        UserError: a folder without any mask of a reference, a mask on another grid, or with a value that is not
            declared; a case without a patient, although others have one.
    """
    true = label_maps(reference, "readers")
    labels = find_labels(None, reference, dataset_json)
    if labels is None:
        labels = labels_from_values(
            set().union(*(values_in(read(file).voxels) for file in true.values()))
        )
    all_folders = {**folders, **({(MODEL, MODEL): model} if model else {})}
    scores, notes = {}, []
    for (reader, arm), folder in all_folders.items():
        pairs, about = find_pairs(folder, reference, chill=True)
        who = MODEL if reader == arm else f"{reader}, {arm}"
        scores[reader, arm] = score_pairs(pairs, labels, scoring or Scoring(metrics=()), about)
        lacking = sorted(set(true) - {pair.name for pair in pairs})
        if lacking:
            notes.append(
                f"missing masks of {who}: {len(lacking)} of {len(true)} ({listed(lacking)})"
            )
        notes += [f"{who}: {note}" for note in scores[reader, arm].notes if note not in about]
    if patients:
        check_known(patients, {case.name for one in scores.values() for case in one.cases})
    else:
        patients, about = find_patients(sorted(true), reference, groups)
        notes += about
    return MaskScoring(scores, labels, patients, tuple(notes))


def copies(
    folders: Mapping[tuple[str, str], Path], reference: Path, model: Path | None
) -> tuple[list[str], list[str]]:
    """Masks that are, voxel for voxel, the reference or the model's.

    Returns:
        Warnings on masks drawn alone, and notes on assisted masks that are the model's.
    """
    warnings, notes = [], []
    for who, source in (("reference", reference), (MODEL, model)):
        if source is None:
            continue
        theirs = {
            name: found.voxels
            for name, path in label_maps(source).items()
            if (found := read(path)).voxels.any()
        }
        for (reader, arm), folder in folders.items():
            own = {name: path for name, path in label_maps(folder).items() if name in theirs}
            same = [
                name for name in sorted(own) if np.array_equal(read(own[name]).voxels, theirs[name])
            ]
            if same and arm == ALONE:
                warnings.append(
                    f"NOT BLIND: {len(same)} of {len(own)} masks of {reader}, alone, are those of the {who}, "
                    f"voxel for voxel: {listed(same)}"
                )
            elif same and who == MODEL:
                notes.append(
                    f"{reader} left {len(same)} of {len(own)} masks of the model unchanged"
                )
    return warnings, notes
