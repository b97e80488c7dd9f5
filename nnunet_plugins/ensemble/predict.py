"""Predict new images with a chosen ensemble."""

from __future__ import annotations

import shutil
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
from nnunet_plugins.ensemble.members import check_same_dataset
from nnunet_plugins.ensemble.postprocessing import keep_largest
from nnunet_plugins.errors import UserError
from nnunet_plugins.natural_images import is_natural
from nnunet_plugins.plans_file import read_object
from nnunet_plugins.prediction import CHECKPOINT, READERS, Model, find_model, load
from nnunet_plugins.prediction.bounded import Job, predict_bounded
from nnunet_plugins.prediction.failures import failure_of
from nnunet_plugins.prediction.inputs import find_inputs
from nnunet_plugins.prediction.outputs import Outputs
from nnunet_plugins.prediction.record import Record, weights_of
from nnunet_plugins.prediction.uncertainty import disagreement_of

Progress = Callable[[list[Any]], Iterable[Any]]


@dataclass(frozen=True)
class Ensemble:
    """What ensemble.json names: checked models, the order of regions, and the steps of the postprocessing."""

    models: tuple[Model, ...]
    order: list[int] | None
    steps: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Predicted:
    """What became of the cases of a folder.

    Attributes:
        written: the new label maps.
        there: cases that an earlier run has predicted.
        failed: case -> why it has no new label map.
    """

    written: tuple[Path, ...]
    there: tuple[str, ...]
    failed: dict[str, str]


def read_choice(path: Path, checkpoint: str = CHECKPOINT) -> Ensemble:
    """Read ensemble.json and check its models; no weights are loaded.

    Raises:
        UserError: not such a file, a model is not where it was, or models of different datasets.
    """
    content = read_object(path)
    version = (content.get("format"), content.get("format_version"))
    if version != (FORMAT, FORMAT_VERSION):
        raise UserError(
            f"{path}: format {version[0]!r}, version {version[1]!r}; expected {FORMAT!r}, version {FORMAT_VERSION}: "
            "choose again (nnunet-plugins ensemble MODEL ...)"
        )
    try:
        models = tuple(_member(path, one, checkpoint) for one in content["members"])
        order, steps = content["regions_class_order"], content["keep_largest_component_of"]
        values = tuple(tuple(int(value) for value in step) for step in steps)
        regions = None if order is None else [int(value) for value in order]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: is incomplete ({error!r}); choose again") from error
    if not models:
        raise UserError(f"{path}: names no model; choose again")
    check_same_dataset({model.folder: model.dataset for model in models})
    if regions != models[0].dataset.get("regions_class_order"):
        raise UserError(f"{path}: has other regions than {models[0].folder}; choose again")
    return Ensemble(models, regions, values)


def _member(path: Path, entry: dict[str, Any], checkpoint: str) -> Model:
    """A chosen model.

    Raises:
        UserError: it is not there, or was trained again after the choice.
    """
    model = find_model(
        path.parent / str(entry["model"]), [str(f) for f in entry["folds"]], checkpoint
    )
    chosen = entry.get("weights")
    if chosen and chosen["checkpoint"] == checkpoint and chosen != weights_of(model):
        raise UserError(f"{path}: {model.folder} was trained again after the choice; choose again")
    return model


def predict_folder(
    ensemble: Ensemble, images: Path, output: Path, device: str, progress: Progress | None = None, *,
    disagreement: bool = False,
) -> Predicted:  # fmt: skip
    """Predict every case of a folder; cases that were predicted with the same choice are left out.

    A case that fails does not stop the others.

    Every model saves its probabilities to a temporary folder in the output, in bounded memory; they are averaged one
    class at a time, and removed with the case.

    Args:
        ensemble: from `read_choice`.
        images: CASE_0000.nii.gz and so on.
        output: folder for the label maps, each of which appears complete.
        device: auto, cpu, cuda or mps.
        progress: wraps the list of cases.
        disagreement: also write CASE_disagreement, the share of models whose own label map has another label.

    Raises:
        UserError: no images, a missing channel, natural images, a model that cannot be loaded, disagreement of one
            model, or an output folder with label maps of another choice.
    """
    first = ensemble.models[0]
    if disagreement and len(ensemble.models) < 2:
        raise UserError(
            "--save_disagreement: compares models, and the choice is a single one; predict its folds with "
            "nnunet-plugins predict --save_disagreement"
        )
    if output.resolve() == images.resolve():
        raise UserError(f"-o {output}: the folder of the images; choose another")
    cases = find_cases(images, first)
    outputs = Outputs(disagreement=disagreement)
    outputs.check_names(cases, first.ending)
    options = {
        "models": [weights_of(model) for model in ensemble.models],
        "regions": ensemble.order,
        "largest_component_of": ensemble.steps,
    }
    record = Record.begun(output, options, resume=True)
    there = [
        case for case, paths in cases.items()
        if record.complete(case, paths, outputs.files(case, first.ending))
    ]  # fmt: skip
    new = [case for case in cases if case not in there]
    predictors = [load(model, device) for model in ensemble.models] if new else []
    for model, one in zip(ensemble.models, predictors, strict=False):
        reader = one.plans_manager.image_reader_writer_class.__name__
        if reader not in READERS:
            raise UserError(
                f"{model.folder}: reads images with {reader}; supported are {', '.join(READERS)}"
            )
    written, failed = [], {}
    with record.held():
        with placed_in(output) as scratch:  # names of the labels, for what reads the folder
            shutil.copyfile(first.folder / "dataset.json", scratch / "dataset.json")
        for case in progress(new) if progress else new:
            names = outputs.files(case, first.ending)
            try:
                with placed_in(output) as scratch:
                    found = _predicted(ensemble, predictors, cases[case], scratch, disagreement)
                    for image, name in zip(found, names, strict=True):
                        sitk.WriteImage(image, str(scratch / name), useCompression=True)
            except Exception as error:
                old = "; its label map in the folder is of an earlier run"
                failed[case] = failure_of(error) + old * (output / names[-1]).exists()
                continue
            record = record.finished(case, cases[case], names)
            written.append(output / names[-1])
    return Predicted(tuple(written), tuple(there), failed)


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


def _predicted(ensemble: Ensemble, predictors: Sequence[Any], images: Sequence[Path], scratch: Path,
               disagreement: bool) -> list[sitk.Image]:  # fmt: skip
    """The map of disagreement, if it is needed, and the label map of one case, on the grid of its first image."""
    made = [
        predict_bounded(
            predictor, model,
            Job(tuple(images), scratch / f"model_{number}" / "case", outputs=Outputs(probabilities=True)),
        )
        for number, (model, predictor) in enumerate(zip(ensemble.models, predictors, strict=True))
    ]  # fmt: skip
    own = [sitk.ReadImage(str(path)) for path in made]
    probabilities = [path.with_name("case.npz") for path in made]
    labels = keep_largest(averaged_labels(probabilities, ensemble.order), ensemble.steps)
    small = labels.astype(np.uint8) if labels.max(initial=0) < 256 else labels
    small = small.reshape(own[0].GetSize()[::-1])
    found = [like(small, own[0])]
    if disagreement:
        others = [sitk.GetArrayViewFromImage(one) for one in own]
        found.insert(0, like(disagreement_of(small, others), own[0]))
    return found
