"""Perturb, predict, map back, score: one curve per kind of perturbation."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from nnunet_plugins import __version__
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation import Scores, evaluate
from nnunet_plugins.evaluation.cases import listed
from nnunet_plugins.evaluation.validation import doubt_of, trained_among, training_cases
from nnunet_plugins.image_files import (
    check_channels,
    is_flat,
    read_channels,
    read_labels_on,
    write_channels,
)
from nnunet_plugins.model_orientation import notes_on, turned
from nnunet_plugins.natural_images import spacing_file
from nnunet_plugins.prediction import Model, predict, predict_on_grid
from nnunet_plugins.prediction.inputs import find_inputs
from nnunet_plugins.robustness.perturbations import PERTURBATIONS, Setting, check_strengths
from nnunet_plugins.scratch import scratch_in

FORMAT, FORMAT_VERSION = "nnunet-plugins robustness", 1
CLEAN = "none"
Progress = Callable[[list[Any]], Iterable[Any]]


@dataclass(frozen=True)
class Point:
    """One condition: a perturbation (or none), its strength, and the scores."""

    name: str
    strength: float
    scores: Scores


@dataclass(frozen=True)
class Picture:
    """A case under one condition: its first channel, and the prediction on the grid of that image."""

    name: str
    strength: float
    image: sitk.Image
    prediction: sitk.Image


@dataclass(frozen=True)
class Robustness:
    """All conditions; the first is the unperturbed images.

    Attributes:
        points: the conditions in the order of the request.
        setting: seed, window, axis.
        trainer: name of the model's trainer.
        cases: names of the cases.
        notes: remarks for the reader.
        pictures: of the case to show, in the order of the conditions.
        reference: label map of that case.
    """

    points: tuple[Point, ...]
    setting: Setting
    trainer: str
    cases: tuple[str, ...]
    notes: tuple[str, ...] = field(default_factory=tuple)
    pictures: tuple[Picture, ...] = ()
    reference: sitk.Image = None

    @property
    def clean(self) -> Point:
        """The condition without perturbation."""
        return self.points[0]

    def curve(self, name: str) -> list[Point]:
        """The points of one perturbation by strength, including the unperturbed images."""
        rest = Point(name, PERTURBATIONS[name].rest, self.clean.scores)
        mine = [point for point in self.points if point.name == name]
        if all(point.strength != rest.strength for point in mine):
            mine.append(rest)
        return sorted(mine, key=lambda point: point.strength)

    @property
    def names(self) -> list[str]:
        """The perturbations that were measured."""
        return list(dict.fromkeys(point.name for point in self.points[1:]))

    def to_dict(self) -> dict[str, Any]:
        """The content of the JSON file, without paths and dates."""
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "computed_with": {"nnunet-plugins": __version__},
            "trainer": self.trainer,
            "cases": list(self.cases),
            "setting": asdict(self.setting),
            "perturbations": {
                name: {"unit": PERTURBATIONS[name].unit, "about": PERTURBATIONS[name].about}
                for name in self.names
            },
            "notes": list(self.notes),
            "conditions": [
                {"perturbation": p.name, "strength": p.strength, "scores": p.scores.to_dict()}
                for p in self.points
            ],
        }


def measure(model: Model, predictor: Any, folder: Path, references: Path, asked: Mapping[str, Sequence[float]],
            setting: Setting, progress: Progress | None = None, show: str = "") -> Robustness:  # fmt: skip
    """Predict and score every case under every condition; the input files are only read.

    Images are predicted in the model's orientation, so that the orientation in which they are stored does not matter.

    Args:
        model: the model folder.
        predictor: nnU-Net's predictor with the model loaded.
        folder: folder of the images.
        references: folder of label maps on the images' grids, named as the cases.
        asked: perturbation -> strengths.
        setting: seed, window, axis.
        progress: wraps the list of conditions and cases, e.g. tqdm.
        show: case whose images and predictions are kept; '' for none.

    Raises:
        UserError: an unknown case to show, missing images or references, invalid strengths, or label maps that
            cannot be compared.
    """
    check_strengths(asked)
    cases = find_inputs(folder, model)
    for paths in cases.values():
        check_channels(paths, model.channels)
    _check_axis(cases, asked, setting)
    if show and show not in cases:
        raise UserError(f"robustness: --show {show}: no such case; allowed: {', '.join(cases)}")
    pictures: list[Picture] = []
    paired = {case: references / f"{case}{model.ending}" for case in cases}
    missing = [case for case, path in paired.items() if not path.is_file()]
    if missing:
        raise UserError(
            f"robustness: {len(missing)} of {len(cases)} cases have no reference in {references}: "
            f"{', '.join(missing[:5])}; label maps named CASE{model.ending} are required"
        )
    conditions = [(CLEAN, 0.0)] + [
        (name, float(s)) for name, strengths in asked.items() for s in strengths
    ]
    steps = [(name, strength, case) for name, strength in conditions for case in cases]
    with scratch_in() as place:
        chosen = place / "references"
        chosen.mkdir()
        for path in paired.values():  # the folder may contain other cases
            for file in filter(None, (path, spacing_file(path))):
                os.symlink(file.absolute(), chosen / file.name)
        for name, strength, case in progress(steps) if progress else steps:
            target = place / f"{name}_{strength:g}" / f"{case}{model.ending}"
            target.parent.mkdir(exist_ok=True)
            step = (name, strength, case)
            image, labels = _one(predictor, model, cases[case], paired[case], target, step, setting)
            if case == show:
                pictures.append(Picture(name, strength, image, labels))
        points = [
            Point(
                name,
                strength,
                evaluate(
                    place / f"{name}_{strength:g}",
                    chosen,
                    dataset_json=model.folder / "dataset.json",
                ),
            )
            for name, strength in conditions
        ]
    reference = read_labels_on(paired[show], pictures[0].image) if show else None
    return Robustness(
        tuple(points), setting, str(predictor.trainer_name), tuple(cases),
        notes_about(model, cases, references), tuple(pictures), reference,
    )  # fmt: skip


def notes_about(
    model: Model, cases: Mapping[str, Sequence[Path]], references: Path
) -> tuple[str, ...]:
    """Notes on images that are stored unlike the training images, and on cases that are training cases.

    Args:
        model: the model folder.
        cases: case -> its images.
        references: folder of their label maps.
    """
    notes = []
    for name in model.folds:
        fold = model.folder / f"fold_{name}"
        if found := trained_among(fold, cases):
            notes.append(
                f"WARNING: {len(found)} of {len(cases)} cases have names of training cases of {fold.name}: "
                f"{listed(found)}; scores of training cases do not show how new cases are segmented"
            )
    held_out = all(training_cases(model.folder / f"fold_{name}") for name in model.folds)
    doubt = "" if notes or held_out else doubt_of(model.folder, references)
    images = [path for paths in cases.values() for path in paths]
    stored = notes_on(images, model.orientation, model.folder)
    return tuple(filter(None, (*stored, *notes, doubt)))


def _check_axis(
    cases: Mapping[str, Sequence[Path]], asked: Mapping[str, Sequence[float]], setting: Setting
) -> None:
    """Check that 2D images are rotated in their plane."""
    first = next(path for paths in cases.values() for path in paths)
    if "rotation" not in asked or setting.axis == "z":
        return
    if read_channels(first)[0].GetSize()[2] == 1:
        raise UserError(
            f"robustness: --axis {setting.axis}: {first.name} is a 2D image; pass --axis z, which rotates it in its "
            "plane"
        )


def _one(predictor: Any, model: Model, images: list[Path], reference: Path, target: Path,
         step: tuple[str, float, str], setting: Setting) -> tuple[sitk.Image, sitk.Image]:  # fmt: skip
    """Perturb and predict one case, map the prediction back, and return the image and its own prediction."""
    name, strength, case = step
    if name == CLEAN:
        predict_on_grid(predictor, model, images, target.with_name(case))
        image = read_channels(images[0])[0]
        return image, read_labels_on(target, image)
    with scratch_in(target.parent) as work:
        # Turned before they are changed: random numbers do not depend on the order of the axes.
        files = turned(images, model.orientation, work)
        channels = [read_channels(path) for path in files]
        volumes = [sitk.Cast(one, sitk.sitkFloat32) for own in channels for one in own]
        changed = PERTURBATIONS[name].change(volumes, strength, setting, setting.random(name, case))
        worse = [work / f"changed_{path.name}" for path in images]
        flat = is_flat(images[0])
        left = iter(changed.images)
        for path, own in zip(worse, channels, strict=True):
            write_channels(path, list(itertools.islice(left, len(own))), flat=flat)
        found = predict(predictor, worse, work / "out" / case)
        labels = read_labels_on(found, changed.images[0])
        placed = changed.on_grid(labels, read_labels_on(reference, volumes[0]))
        write_channels(target, [placed], flat=is_flat(reference))
        return changed.images[0], labels
