"""Probabilities and calls of a finished classifier, as predictions.json and predictions.csv."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dataset_conversion.errors import some
from dataset_conversion.io.atomic_files import digest_json
from nnunet_plugins.atomic_files import placed
from nnunet_plugins.classifier.folder import (
    Classifier,
    read_classifier,
    read_finished,
    write_json,
)
from nnunet_plugins.classifier.images import notes_of
from nnunet_plugins.classifier.settings import Settings
from nnunet_plugins.classifier.table import Row
from nnunet_plugins.classifier.train import check_copies, load_cases, sigmoid
from nnunet_plugins.classifier.training import load_network, logits_of
from nnunet_plugins.csv_table import csv_text
from nnunet_plugins.errors import UserError
from nnunet_plugins.plans_file import MALFORMED, read_object

JSON, CSV = "predictions.json", "predictions.csv"
FORMAT, VERSION = "nnunet-plugins classification", 1
NEW = "new"  # split of cases without a diagnosis


@dataclass(frozen=True)
class Scored:
    """One case.

    Attributes:
        case: its name.
        patient: number of the patient; None if it is not known.
        label: 1 for the positive class; None if it is not known.
        split: train is never scored; `NEW` for cases without a diagnosis.
        probability: of the positive class, mean of the seeds.
        call: 1 if the probability is at least the threshold.
        seeds: probability of each seed.
        lesion_voxels: voxels of the mask on the network's grid.
        threshold: of the classifier that scored the case.
    """

    case: str
    patient: int | None
    label: int | None
    split: str
    probability: float
    call: int
    seeds: tuple[float, ...]
    lesion_voxels: int
    threshold: float


@dataclass(frozen=True)
class Predictions:
    """All cases of one classifier.

    Attributes:
        classes: names, negative first.
        threshold: fixed on the validation set before other cases are scored.
        cases: scored cases.
        network: its name.
        seeds: of the trainings.
        segmenter: folder name of the model that predicted the masks; '' for drawn masks.
        notes: for every output.
        training: what finished.json records, the settings, and the fold of a cross-validation.
        folds: the predictions of each fold, if they are pooled.
    """

    classes: tuple[str, str]
    threshold: float
    cases: tuple[Scored, ...]
    network: str
    seeds: tuple[int, ...]
    segmenter: str
    notes: tuple[str, ...]
    training: Mapping[str, Any]
    folds: tuple[Predictions, ...] = ()

    @property
    def parts(self) -> tuple[Predictions, ...]:
        """Predictions with one threshold and one validation set each."""
        return self.folds or (self,)

    @property
    def threshold_text(self) -> str:
        """The threshold, or those of the folds."""
        each = [one.threshold for one in self.parts]
        if len(each) == 1:
            return f"{each[0]:.4f}"
        return f"of each fold ({min(each):.4f} to {max(each):.4f}; external cases: their mean)"

    def of(self, *splits: str) -> list[Scored]:
        """The cases of some splits."""
        return [one for one in self.cases if one.split in splits]


def predict(
    classifier: Classifier,
    splits: Sequence[str] = ("validation", "test", "external"),
    *,
    device: str = "cpu",
) -> Predictions:
    """Score the cases of some splits.

    Raises:
        UserError: the training is not finished, a file cannot be read or has changed since the training, an image is
            one of the training or of two patients, or its slices are in another plane.
    """
    finished = read_finished(classifier)
    threshold = float(finished["threshold"])
    known = [row.case for row in classifier.rows if row.split in splits and classifier.digests]
    classifier.check_files({case: classifier.digest(case) for case in known})
    volumes = load_cases(classifier, splits)
    rows = [row for row in classifier.rows if row.case in volumes]
    if not rows:
        raise UserError(f"{classifier.folder}: no case to score in {', '.join(splits)}")
    plane = volumes[rows[0].case].orientation
    if finished.get("orientation", plane) != plane:
        raise UserError(
            f"the slices run in {plane} (directions of x, y and z), those of the training in "
            f"{finished['orientation']}; score images of the same plane"
        )
    images = {digest: case for case, digest in finished.pop("images").items()}
    seen = {
        row.case: images[volumes[row.case].digest]
        for row in rows
        if row.split != "validation" and volumes[row.case].digest in images
    }
    if seen:
        first = next(iter(seen))
        raise UserError(
            f"{len(seen)} of {len(rows)} images are those of the training, under these or other names: "
            f"{some(list(seen))} ({first} is {seen[first]}); leave them out"
        )
    check_copies([row for row in rows if row.split != NEW], volumes)
    settings = classifier.settings
    order = [volumes[row.case] for row in rows]
    each = np.array(
        [
            sigmoid(
                logits_of(
                    load_network(classifier.seed_folder(seed), settings, device),
                    order,
                    settings.batch,
                )
            )
            for seed in settings.seeds
        ]
    )
    mean = each.mean(axis=0)
    cases = tuple(
        Scored(
            row.case,
            row.patient,
            None if row.split == NEW else row.label,
            row.split,
            float(mean[place]),
            int(mean[place] >= threshold),
            tuple(float(one) for one in each[:, place]),
            int(order[place].mask.sum()),
            threshold,
        )
        for place, row in enumerate(rows)
    )
    trained = read_classifier(classifier.folder)
    return Predictions(
        classifier.classes,
        threshold,
        cases,
        settings.network,
        settings.seeds,
        Path(classifier.segmenter).name,
        tuple(dict.fromkeys((*classifier.notes, *finished.pop("notes", ()), *notes_of(volumes)))),
        {
            **finished,
            "settings": settings.as_json(),
            "cross_validation": cross_validation(trained.rows, trained.digests),
        },
    )


def cross_validation(rows: Sequence[Row], digests: Mapping[str, str]) -> dict[str, Any] | None:
    """The tested fold, all folds, and the digests of table and files of a training; None without folds."""
    tested = {row.fold for row in rows if row.split == "test"}
    if len(tested) != 1 or None in tested:
        return None
    known = sorted([row.case, row.patient, row.label, row.fold] for row in rows)
    return {
        "fold": tested.pop(),
        "folds": sorted({row.fold for row in rows if row.fold is not None}),
        "table": digest_json(known),
        "files": digest_json(digests) if digests else None,
    }


def write_predictions(folder: Path, found: Predictions) -> list[Path]:
    """Write the CSV for people and the JSON for `evaluate`, which comes last."""
    head = ["case", "patient", "split", "label", "probability", "threshold", "call"]
    head += [f"probability_seed_{seed}" for seed in found.seeds] + ["lesion_voxels"]
    rows = [
        [
            one.case, one.patient, one.split, None if one.label is None else found.classes[one.label],
            one.probability, one.threshold, found.classes[one.call], *one.seeds, one.lesion_voxels,
        ]
        for one in found.cases
    ]  # fmt: skip
    with placed(folder / CSV) as temporary:
        temporary.write_text(csv_text([head, *rows]), encoding="utf-8")
    content = {"format": FORMAT, "format_version": VERSION, **asdict(found)}
    del content["folds"]  # one classifier is written
    write_json(folder / JSON, content)
    return [folder / CSV, folder / JSON]


def read_predictions(path: Path) -> Predictions:
    """Read predictions.json, or that of a folder.

    Raises:
        UserError: missing, damaged, of another version, or with a threshold that was not fixed on the validation set.
    """
    path = path / JSON if path.is_dir() else path
    if not path.is_file():
        raise UserError(f"{path}: no such file; give predictions.json of classify predict")
    content = read_object(path)
    if (content.get("format"), content.get("format_version")) != (FORMAT, VERSION):
        raise UserError(f"{path}: not the predictions.json of this version's classify predict")
    try:
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in content.items()
            if not key.startswith("format")
        }
        cases = tuple(Scored(**one) for one in content["cases"])
        found = replace(Predictions(**values), cases=cases)
        origin = found.training["threshold_from"]
        _check(found)
    except (*MALFORMED, UserError) as error:
        raise UserError(f"{path}: damaged ({error!r:.400}); predict again") from error
    if origin != "validation":
        raise UserError(
            f"{path}: the threshold was chosen on {origin!s:.80}; it must be fixed on the validation set before "
            "test cases are scored: predict again with classify predict"
        )
    return found


def _check(found: Predictions) -> None:
    """Check what the dataclasses do not.

    Raises:
        KeyError, TypeError, ValueError, UserError: a part is missing, or no value that `predict` writes.
    """
    texts = (*found.classes, *found.notes, found.network, found.segmenter)
    if len(found.classes) != 2 or not _are(str, *texts) or not _are(int, *found.seeds):
        raise TypeError("classes, notes, network, segmenter or seeds")
    sides: dict[int | None, tuple[str, int | None]] = {}
    for one in found.cases:
        shares = (one.probability, *one.seeds)
        if not (
            _are(str, one.case, one.split)
            and _are(int, one.patient or 0, one.call, one.lesion_voxels)
            and _are(float, found.threshold, one.threshold, *shares)
            and all(0 <= share <= 1 for share in shares)
            and len(one.seeds) == len(found.seeds)
            and one.label in (0, 1, None)
        ):
            raise ValueError(f"a value of {one!r:.250}")
        side = sides.setdefault(one.patient, (one.split, one.label))
        if one.patient is not None and side != (one.split, one.label):
            raise ValueError(f"{one.case}: its patient has another label or split in another case")
    twice = [name for name, times in Counter(one.case for one in found.cases).items() if times > 1]
    if twice:
        raise ValueError(f"{some(twice)}: more than once")
    settings, cases = found.training["settings"], found.training["cases"]
    missing = sorted(Settings.from_json(settings).as_json().keys() - settings.keys())
    if missing or not _are(int, cases["train"], cases["validation"]):
        raise ValueError(f"settings or numbers of cases of the training are missing: {missing}")
    fold = found.training.get("cross_validation")
    if fold and not (_are(int, fold["fold"], *fold["folds"]) and _are(str, fold["table"])):
        raise TypeError("the record of the fold")


def _are(kind: type, *values: Any) -> bool:
    """Whether values of a JSON file are texts, whole numbers, or finite numbers."""
    numbers = (int, float) if kind is float else (kind,)
    return all(type(one) in numbers and (kind is str or math.isfinite(one)) for one in values)
