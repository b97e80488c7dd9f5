"""From a DICOM folder straight to DICOM SEG and .seg.nrrd, through nnU-Net's own predictor."""

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
from nnunet_plugins.export.source_series import find_source
from nnunet_plugins.natural_images import is_natural
from nnunet_plugins.prediction import Model, predict
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
    record = read_record(model.folder)
    code, why = record.written_as()
    output = record.output(code)
    source = find_source(folder, wanted=request.series)
    case = name or f"case_{digest_of(source.series.paths)[:8]}"
    labels = read_labels(model.folder / "dataset.json", "the model's dataset.json")
    with scratch_in() as scratch:
        image = scratch / f"{case}_0000{model.ending}"
        (ready,) = prepare(Sample((source.volume(),)), NO_LABELS, output, source.who).images
        sitk.WriteImage(ready, str(image))
        found = read_mask(predict(predictor, [image], scratch / "out" / case)).image
    placed, note = on_own_grid(found, header_of(source.grid()), case)
    done = export_case(case, placed, labels, request, source)
    notes = [note] if note else []
    return replace(done, notes=(*notes, *why, *record.notes(), *done.notes))
