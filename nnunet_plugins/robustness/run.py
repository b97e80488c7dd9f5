"""Perturb, predict, put back, score: one curve a way of making images worse."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.volumes import is_volume, read_image
from nnunet_plugins import __version__
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation import Scores, evaluate
from nnunet_plugins.prediction import Model, predict
from nnunet_plugins.robustness.perturbations import PERTURBATIONS, Changed, Setting, check_strengths

FORMAT, FORMAT_VERSION = "nnunet-plugins robustness", 1
CLEAN = "none"
Progress = Callable[[list[Any]], Iterable[Any]]


@dataclass(frozen=True)
class Point:
    """One condition: a way (or none), its strength, and the scores."""

    name: str
    strength: float
    scores: Scores


@dataclass(frozen=True)
class Robustness:
    """All conditions; the first is the images as they are.

    Attributes:
        points: in the order in which they were asked for.
        setting: seed, window, axis.
        trainer: what the model was trained with.
        cases: their names.
        notes: what a reader should know.
    """

    points: tuple[Point, ...]
    setting: Setting
    trainer: str
    cases: tuple[str, ...]
    notes: tuple[str, ...] = field(default_factory=tuple)

    @property
    def clean(self) -> Point:
        """The images as they are."""
        return self.points[0]

    def curve(self, name: str) -> list[Point]:
        """The points of one way by strength, the images as they are among them."""
        rest = Point(name, PERTURBATIONS[name].rest, self.clean.scores)
        mine = [point for point in self.points if point.name == name]
        if all(point.strength != rest.strength for point in mine):
            mine.append(rest)
        return sorted(mine, key=lambda point: point.strength)

    @property
    def names(self) -> list[str]:
        """The ways that were tried."""
        return list(dict.fromkeys(point.name for point in self.points[1:]))

    def to_dict(self) -> dict[str, Any]:
        """Everything in JSON's types; no paths, no dates."""
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


def find_inputs(folder: Path, model: Model) -> dict[str, list[Path]]:
    """Case -> its images, one a channel, named as nnU-Net wants them (CASE_0000.nii.gz).

    Raises:
        UserError: none there, a channel missing, or a format that has no third axis.
    """
    if not is_volume(Path(f"a{model.ending}")):
        raise UserError(
            f"robustness: the model reads {model.ending} files; volumes (.nii.gz, .nrrd, .mha) are "
            "wanted"
        )
    if not folder.is_dir():
        raise UserError(
            f"robustness: {folder}: no such folder; give the images as nnUNetv2_predict wants them"
        )
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.name.endswith(f"_0000{model.ending}") and not path.name.startswith("."):
            case = path.name[: -len(f"_0000{model.ending}")]
            found[case] = [folder / f"{case}_{c:04d}{model.ending}" for c in range(model.channels)]
    missing = [p.name for paths in found.values() for p in paths if not p.is_file()]
    if missing or not found:
        raise UserError(
            f"robustness: {folder}: {'missing: ' + ', '.join(missing[:5]) if missing else 'no images'}; the model "
            f"wants {model.channels} a case, CASE_0000{model.ending} and so on"
        )
    return found


def measure(model: Model, predictor: Any, folder: Path, references: Path, wanted: Mapping[str, Sequence[float]],
            setting: Setting, progress: Progress | None = None) -> Robustness:  # fmt: skip
    """Predict and score every case under every condition; the input is only read.

    Args:
        model: the model folder.
        predictor: the same, loaded.
        folder: images.
        references: label maps on the images' grids, named as the cases.
        wanted: way -> strengths.
        setting: seed, window, axis.
        progress: wraps the list of conditions and cases, e.g. tqdm.

    Raises:
        UserError: images or references missing, strengths that cannot be meant, no comparison possible.
    """
    check_strengths(wanted)
    cases = find_inputs(folder, model)
    paired = {case: references / f"{case}{model.ending}" for case in cases}
    lost = [case for case, path in paired.items() if not path.is_file()]
    if lost:
        raise UserError(
            f"robustness: {len(lost)} of {len(cases)} cases have no reference in {references}: "
            f"{', '.join(lost[:5])}; label maps named CASE{model.ending} are wanted"
        )
    conditions = [(CLEAN, 0.0)] + [
        (name, float(s)) for name, strengths in wanted.items() for s in strengths
    ]
    steps = [(name, strength, case) for name, strength in conditions for case in cases]
    with tempfile.TemporaryDirectory(prefix="nnunet-plugins.") as scratch:
        place = Path(scratch)
        chosen = place / "references"
        chosen.mkdir()
        for path in paired.values():  # only these: the folder may hold more
            os.symlink(path.absolute(), chosen / path.name)
        for name, strength, case in progress(steps) if progress else steps:
            target = place / f"{name}_{strength:g}" / f"{case}{model.ending}"
            target.parent.mkdir(exist_ok=True)
            _one(predictor, cases[case], paired[case], target, (name, strength, case), setting)
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
    return Robustness(tuple(points), setting, str(predictor.trainer_name), tuple(cases))


def _one(predictor: Any, images: list[Path], reference: Path, target: Path, step: tuple[str, float, str],
         setting: Setting) -> None:  # fmt: skip
    """Perturb, predict and put back one case."""
    name, strength, case = step
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".work.") as scratch:
        work = Path(scratch)
        changed = Changed([])
        if name != CLEAN:
            changed = PERTURBATIONS[name].change(
                [_read(path) for path in images], strength, setting, setting.random(name, case)
            )
            images = [work / path.name for path in images]
            for path, image in zip(images, changed.images, strict=True):
                sitk.WriteImage(image, str(path))
        found = predict(predictor, images, work / "out" / case)
        if name == CLEAN:
            os.replace(found, target)
        else:
            placed = changed.on_grid(sitk.ReadImage(str(found)), sitk.ReadImage(str(reference)))
            sitk.WriteImage(placed, str(target))


def _read(path: Path) -> sitk.Image:
    try:
        image, _ = read_image(path)
    except DatasetError as error:
        raise UserError(str(error)) from error
    return sitk.Cast(image, sitk.sitkFloat32)
