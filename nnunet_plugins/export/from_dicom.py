"""From a DICOM series to its label map, and straight to DICOM SEG and .seg.nrrd."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from dataset_conversion.cases.case import Sample
from dataset_conversion.cases.preprocess import prepare
from dataset_conversion.datasets.images_only import NO_LABELS
from dataset_conversion.io.atomic_files import digest_of
from dataset_conversion.io.label_maps import read_mask
from dataset_conversion.io.volumes import header_of
from dataset_conversion.raw_format.training_record import read_record
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.labels import read_labels
from nnunet_plugins.export.own_grid import on_own_grid
from nnunet_plugins.export.run import Request, Written, export_case
from nnunet_plugins.export.source_series import Source, find_source
from nnunet_plugins.natural_images import is_natural
from nnunet_plugins.prediction import Model
from nnunet_plugins.prediction.bounded import Job, predict_bounded
from nnunet_plugins.prediction.outputs import ONLY_LABELS, Outputs
from nnunet_plugins.scratch import scratch_in


def export_dicom(folder: Path, model: Model, predictor: Any, request: Request, *,
                 name: str | None = None) -> Written:  # fmt: skip
    """Predict a series and write the result on its source's grid.

    The volume is read as `convert` reads it (gantry tilt and gaps are errors) and predicted with the orientation,
    window and voxel size of the model's training images.

    Args:
        folder: folder of the series.
        model: the model folder.
        predictor: nnU-Net's predictor with the model loaded.
        request: formats and options.
        name: stem of the file names; made from the series' content by default, without the patient's name.

    Raises:
        UserError: the model needs several channels or another file format.
        DatasetError: no series, several series, or no series that is a regular volume; or the model needs a window
            that it does not record.
    """
    if model.channels != 1:
        raise UserError(
            f"{model.folder}: the model needs {model.channels} images per case, and a DICOM folder contains one: "
            "convert the series, predict with nnUNetv2_predict, then export with --dicom"
        )
    if is_natural(Path(f"case{model.ending}")):
        raise UserError(
            f"{model.folder}: the model reads {model.ending} images, which have no position in a patient; "
            "--from-dicom is for models of volumes (.nii.gz, .nrrd, .mha)"
        )
    source = find_source(folder, wanted=request.series)
    case = name or f"case_{digest_of(source.series.paths)[:8]}"
    labels = read_labels(model.folder / "dataset.json", "the model's dataset.json")
    with scratch_in() as scratch:
        path, notes = predict_series(predictor, model, source, scratch / case)
        found = read_mask(path).image
    done = export_case(case, found, labels, request, source)
    return replace(done, notes=(*notes, *read_record(model.folder).notes(), *done.notes))


def predict_series(predictor: Any, model: Model, source: Source, target: Path, *, previous: Path | None = None,
                   outputs: Outputs = ONLY_LABELS) -> tuple[Path, list[str]]:  # fmt: skip
    """Predict a series as an image that was written like the training images; the files are on the series' own grid.

    Labels are copied voxel by voxel, or taken from the nearest voxel if the model was trained on another voxel size;
    maps and probabilities are then interpolated linearly.

    Args:
        predictor: nnU-Net's predictor with the model loaded.
        model: the model folder.
        source: the series.
        target: output path without its ending, in a folder that exists.
        previous: label map of the previous stage of a cascade, on the series' grid.
        outputs: what is written besides the label map.

    Returns:
        The label map, and notes.

    Raises:
        DatasetError: the model needs a window that it does not record.
    """
    record = read_record(model.folder)
    code, notes = record.written_as()
    grid = header_of(source.grid())

    def back(volume: sitk.Image, smooth: bool) -> sitk.Image:
        placed, note = on_own_grid(volume, grid, target.name, smooth=smooth)
        if note and note not in notes and not smooth:
            notes.append(note)
        return placed

    with scratch_in(target.parent) as scratch:
        image = scratch / f"{target.name}_0000{model.ending}"
        (ready,) = prepare(
            Sample((source.volume(),)), NO_LABELS, record.output(code), source.who
        ).images
        sitk.WriteImage(ready, str(image))
        before = None
        if previous is not None:
            before = scratch / f"previous{model.ending}"
            labels, _ = on_own_grid(read_mask(previous).image, header_of(ready), str(previous))
            sitk.WriteImage(labels, str(before))
        del ready
        job = Job((image,), target, before, outputs, back)
        return predict_bounded(predictor, model, job), notes
