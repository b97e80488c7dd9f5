"""Train a classifier: find images and masks, check them, train the seeds, fix the threshold on the validation set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from dataset_conversion.io.atomic_files import digest
from nnunet_plugins.classifier.folder import (
    FINISHED,
    Classifier,
    find_image,
    read_classifier,
    read_finished,
    write_json,
)
from nnunet_plugins.classifier.images import Volume, check_one_plane, load, notes_of
from nnunet_plugins.classifier.masks import (
    Masks,
    drawn_folders,
    predicted_masks,
    reference_masks,
)
from nnunet_plugins.classifier.settings import Settings
from nnunet_plugins.classifier.table import Row, check_recorded
from nnunet_plugins.classifier.training import Examples, load_network, logits_of, train_network
from nnunet_plugins.diagnosis.calls import youden
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.labels import Labels, read_labels
from nnunet_plugins.evaluation.patients import recorded
from nnunet_plugins.plans_file import read_object

Say = Callable[[str], None]


@dataclass(frozen=True)
class Sources:
    """Where the data are.

    Attributes:
        raw: folder of the dataset in nnUNet_raw.
        model: the segmenter's folder; None for drawn masks.
        folders: of masks.
        references: whether the masks were drawn: labelsTr and labelsTs, or the folders.
    """

    raw: Path
    model: Path | None
    folders: tuple[Path, ...] = ()
    references: bool = False


def prepare(
    folder: Path,
    rows: Sequence[Row],
    classes: tuple[str, str],
    sources: Sources,
    settings: Settings,
    table: Path,
) -> Classifier:
    """Find and check all files, also those of the test cases, and write classifier.json.

    Args:
        folder: of the classifier.
        rows: cases with their splits.
        classes: names, negative first.
        sources: of images and masks.
        settings: see `Settings`.
        table: the file of the rows.

    Returns:
        The classifier as its folder records it, which may be of an earlier version.

    Raises:
        UserError: see `masks`, `table.check_recorded` and `folder.Classifier`.
    """
    dataset = read_object(sources.raw / "dataset.json")
    ending = str(dataset.get("file_ending", ".nii.gz"))
    channel = channel_name(dataset, settings.channel)
    check_recorded(rows, recorded(sources.raw / "labelsTr"))
    images = [sources.raw / name for name in ("imagesTr", "imagesTs")]
    for row in rows:
        find_image(row.case, images, settings.channel, ending)
    masks = find_masks([row.case for row in rows], sources)
    classifier = Classifier(
        folder,
        settings,
        classes,
        tuple(rows),
        tuple(str(one.resolve()) for one in images),
        ending,
        {case: str(file.resolve()) for case, file in sorted(masks.files.items())},
        lesion_values(settings.lesions, sources),
        "" if masks.references else str(sources.model),
        masks.notes,
        str(table.resolve()),
        {},
        digest(table),
        declared_values(sources),
        channel,
    )
    digests = {row.case: classifier.digest(row.case) for row in rows}
    replace(classifier, digests=digests).write()
    return read_classifier(folder)


def channel_name(dataset: Mapping[str, Any], number: int) -> str:
    """The name of a channel in dataset.json; '' if it names none.

    Raises:
        UserError: it names others only.
    """
    channels = dataset.get("channel_names", {})
    if channels and str(number) not in channels:
        raise UserError(
            f"--channel {number}: the dataset has {', '.join(f'{k} ({v})' for k, v in channels.items())}"
        )
    return str(channels.get(str(number), ""))


def find_masks(cases: Sequence[str], sources: Sources) -> Masks:
    """Find the masks of cases; see `masks`.

    Raises:
        UserError: neither a segmenter nor drawn masks are given, or see `masks`.
    """
    if sources.references:
        return reference_masks(cases, list(sources.folders) or drawn_folders(sources.raw))
    if sources.model is None:
        raise UserError(
            "masks: pass the segmenter with --model MODEL_FOLDER, whose files show on which cases it was trained, or "
            "--reference-masks"
        )
    return predicted_masks(cases, sources.model, sources.folders, raw=sources.raw)


def lesion_values(names: Sequence[str], sources: Sources) -> tuple[int, ...]:
    """The values of labels in the masks; without names, those of all labels but the ignore label; none: all but 0.

    Raises:
        UserError: unknown label.
    """
    labels = _labels(sources)
    known = labels.values
    if not names and labels.ignore is None:
        return ()
    names = names or list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UserError(f"--lesions {unknown[0]}: unknown label; allowed: {', '.join(known)}")
    return tuple(sorted({value for name in names for value in known[name]}))


def declared_values(sources: Sources) -> tuple[int, ...]:
    """The values that masks may hold: background, labels, and the ignore label."""
    labels = _labels(sources)
    return tuple(sorted({*labels.known, *(() if labels.ignore is None else (labels.ignore,))}))


def _labels(sources: Sources) -> Labels:
    path = (sources.model or sources.raw) / "dataset.json"
    return read_labels(path, path.name)


def train(classifier: Classifier, *, device: str = "cpu", say: Say = print) -> float:
    """Train all seeds, fix the threshold on the validation set, and return it; what is done is not repeated.

    Raises:
        UserError: a file cannot be read, or a checkpoint is of other settings.
    """
    if (classifier.folder / FINISHED).is_file():
        return float(read_finished(classifier)["threshold"])
    volumes = load_cases(classifier, ("train", "validation"))
    parts = {
        side: Examples([volumes[row.case] for row in rows], [row.label for row in rows])
        for side in ("train", "validation")
        if (rows := [row for row in classifier.rows if row.split == side])
    }
    sides = {row.case: row.split for row in classifier.rows if row.case in volumes}
    images = {case: one.digest for case, one in volumes.items()}
    check_copies(classifier.rows, volumes)
    training = {case: volumes[case] for case, side in sides.items() if side == "train"}
    notes = [f"training set: {note}" for note in notes_of(training)]
    for note in notes:
        say(f"note     {note}")
    held = parts["validation"]
    settings, probabilities, aucs = classifier.settings, [], {}
    for seed in settings.seeds:

        def report(epoch: int, loss: float, auc: float, seed: int = seed) -> None:
            if epoch == 1 or epoch % 10 == 0 or epoch == settings.epochs:
                say(
                    f"seed {seed}  epoch {epoch} of {settings.epochs}: loss {loss:.4f}, validation AUC {auc:.3f}"
                )

        folder = classifier.seed_folder(seed)
        train_network(folder, settings, seed, parts["train"], held, device=device, report=report)
        network = load_network(folder, settings, device)
        probabilities.append(sigmoid(logits_of(network, held.volumes, settings.batch)))
        aucs[str(seed)] = float(roc_auc_score(held.labels, probabilities[-1]))
    patients = [row.patient for row in classifier.rows if row.split == "validation"]
    labels, mean = by_patient(patients, held.labels, np.mean(probabilities, axis=0))
    threshold = youden(labels, mean)
    write_json(
        classifier.folder / FINISHED,
        {
            "threshold": threshold,
            "threshold_from": "validation",
            "cases": {side: len(part.labels) for side, part in parts.items()},
            "validation_auc": float(roc_auc_score(labels, mean)),
            "validation_auc_of_seeds": aucs,
            "images": images,
            "orientation": held.volumes[0].orientation,
            "notes": notes,
        },
    )
    return threshold


def check_copies(rows: Sequence[Row], volumes: Mapping[str, Volume]) -> None:
    """Check that no image is of two patients, under two names.

    Args:
        rows: cases with their patients.
        volumes: case -> volume; others are not compared.

    Raises:
        UserError: an image is; the message names two cases.
    """
    first: dict[str, Row] = {}
    for row in rows:
        other = first.setdefault(volumes[row.case].digest, row) if row.case in volumes else row
        if other.patient != row.patient:
            raise UserError(
                f"{other.case} and {row.case} have the same image and are of different patients; give both cases one "
                "patient in the table, or remove one"
            )


def load_cases(classifier: Classifier, splits: Sequence[str]) -> dict[str, Volume]:
    """Case -> its volume, of the cases of some splits.

    Raises:
        UserError: a file cannot be read, or the slices run in different planes.
    """
    found = {
        row.case: load_case(classifier, row.case) for row in classifier.rows if row.split in splits
    }
    check_one_plane(found)
    return found


def load_case(classifier: Classifier, case: str) -> Volume:
    """The volume of a case; see `images.load`."""
    mask, values = Path(classifier.masks[case]), classifier.values
    return load(classifier.image(case), mask, values, classifier.settings, classifier.declared)


def by_patient(
    patients: Sequence[int], labels: Sequence[int], probabilities: np.ndarray
) -> tuple[list[int], np.ndarray]:
    """Label and mean probability of each patient, in the order of the first case.

    >>> by_patient([1, 1, 2], [1, 1, 0], np.array([0.5, 0.7, 0.2]))
    ([1, 0], array([0.6, 0.2]))
    """
    members: dict[int, list[int]] = {}
    for place, patient in enumerate(patients):
        members.setdefault(patient, []).append(place)
    found = [np.mean(probabilities[places]) for places in members.values()]
    return [labels[places[0]] for places in members.values()], np.array(found)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probabilities, in float64; (n,)."""
    found: np.ndarray = 1 / (1 + np.exp(-logits.astype(np.float64)))
    return found
