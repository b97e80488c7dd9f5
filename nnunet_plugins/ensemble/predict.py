"""Predict new images with a chosen ensemble."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from dataset_conversion.io.geometry import like
from nnunet_plugins.atomic_files import placed_in
from nnunet_plugins.ensemble.averaging import averaged_labels
from nnunet_plugins.ensemble.choose import FORMAT, FORMAT_VERSION
from nnunet_plugins.ensemble.postprocessing import keep_largest
from nnunet_plugins.errors import UserError
from nnunet_plugins.model_orientation import read, returned, turned
from nnunet_plugins.natural_images import is_natural
from nnunet_plugins.plans_file import read_object
from nnunet_plugins.prediction import CHECKPOINT, READERS, Model, find_model, load, quiet
from nnunet_plugins.prediction.inputs import find_inputs

Progress = Callable[[list[Any]], Iterable[Any]]


@dataclass(frozen=True)
class Ensemble:
    """What ensemble.json names: checked models, the order of regions, and the steps of the postprocessing."""

    models: tuple[Model, ...]
    order: list[int] | None
    steps: tuple[tuple[int, ...], ...]


def read_choice(path: Path, checkpoint: str = CHECKPOINT) -> Ensemble:
    """Read ensemble.json and check its models; no weights are loaded.

    Raises:
        UserError: not such a file, or a model is not where it was.
    """
    content = read_object(path)
    version = (content.get("format"), content.get("format_version"))
    if version != (FORMAT, FORMAT_VERSION):
        raise UserError(
            f"{path}: format {version[0]!r}, version {version[1]!r}; expected {FORMAT!r}, version {FORMAT_VERSION}: "
            "choose again (nnunet-plugins ensemble MODEL ...)"
        )
    try:
        models = tuple(
            find_model(path.parent / str(one["model"]), [str(f) for f in one["folds"]], checkpoint)
            for one in content["members"]
        )
        order, steps = content["regions_class_order"], content["keep_largest_component_of"]
        values = tuple(tuple(int(value) for value in step) for step in steps)
        regions = None if order is None else [int(value) for value in order]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: is incomplete ({error!r}); choose again") from error
    if not models:
        raise UserError(f"{path}: names no model; choose again")
    return Ensemble(models, regions, values)


def predict_folder(
    ensemble: Ensemble, images: Path, output: Path, device: str, progress: Progress | None = None
) -> tuple[list[Path], list[str]]:
    """Predict every case of a folder; cases whose label map exists are left out.

    Every model saves its probabilities to a temporary folder in the output; they are averaged, and removed with the
    case.

    Args:
        ensemble: from `read_choice`.
        images: CASE_0000.nii.gz and so on.
        output: folder for the label maps, each of which appears complete.
        device: auto, cpu, cuda or mps.
        progress: wraps the list of cases.

    Returns:
        The label maps that were written, and the names of the cases that were there.

    Raises:
        UserError: no images, a missing channel, natural images, or a model that cannot be loaded.
    """
    first = ensemble.models[0]
    cases = find_cases(images, first)
    there = [case for case in cases if (output / f"{case}{first.ending}").exists()]
    new = [case for case in cases if case not in there]
    predictors = [load(model, device) for model in ensemble.models] if new else []
    for model, one in zip(ensemble.models, predictors, strict=False):
        reader = one.plans_manager.image_reader_writer_class.__name__
        if reader not in READERS:
            raise UserError(
                f"{model.folder}: reads images with {reader}; supported are {', '.join(READERS)}"
            )
    written = []
    for case in progress(new) if progress else new:
        target = output / f"{case}{first.ending}"
        with placed_in(output) as scratch:
            label_map = _predicted(ensemble, predictors, cases[case], scratch)
            sitk.WriteImage(label_map, str(scratch / target.name), useCompression=True)
        written.append(target)
    return written, there


def find_cases(folder: Path, model: Model) -> dict[str, list[Path]]:
    """Case -> its images, one per channel.

    Raises:
        UserError: no images, a missing channel, or images without a position in a patient.
    """
    if is_natural(Path(f"case{model.ending}")):
        raise UserError(
            f"ensemble: {model.folder} reads {model.ending} images, for which predictions are not averaged here; use "
            "nnUNetv2_predict --save_probabilities and nnUNetv2_ensemble"
        )
    return find_inputs(folder, model, "ensemble")


def _predicted(
    ensemble: Ensemble, predictors: Sequence[Any], images: Sequence[Path], scratch: Path
) -> sitk.Image:
    """Label map of one case on the grid of its first image."""
    files = turned(images, ensemble.models[0].orientation, scratch / "turned")
    probabilities = []
    for number, one in enumerate(predictors):
        folder = scratch / f"model_{number}"
        folder.mkdir()
        with quiet():
            one.predict_from_files_sequential(
                [[str(path) for path in files]], [str(folder / "case")], save_probabilities=True
            )
        probabilities.append(folder / "case.npz")
    labels = keep_largest(averaged_labels(probabilities, ensemble.order), ensemble.steps)
    small = labels.astype(np.uint8) if labels.max(initial=0) < 256 else labels
    grid = read(files[0])
    return returned(like(small.reshape(grid.GetSize()[::-1]), grid), read(images[0]))
