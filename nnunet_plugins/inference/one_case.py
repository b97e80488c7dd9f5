"""One case: files, or a DICOM series, to a label map on its own grid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from dataset_conversion.cases.case import Sample
from dataset_conversion.cases.preprocess import prepare
from dataset_conversion.datasets.images_only import NO_LABELS
from dataset_conversion.io.label_maps import read_mask
from dataset_conversion.io.volumes import header_of
from dataset_conversion.raw_format.training_record import read_record
from nnunet_plugins.atomic_files import placed
from nnunet_plugins.export.own_grid import on_own_grid
from nnunet_plugins.export.source_series import find_source
from nnunet_plugins.inference.cases import Case
from nnunet_plugins.inference.setting import Setting
from nnunet_plugins.prediction.bounded import Job, predict_bounded
from nnunet_plugins.prediction.model import Model
from nnunet_plugins.scratch import scratch_in


def predict_one(predictor: Any, model: Model, case: Case, output: Path, setting: Setting) -> str:
    """Predict a case and write its files; returns a note or ''.

    Raises:
        UserError: an image cannot be read or written.
        DatasetError: the series is not a regular volume, or the model needs a window that it does not record.
    """
    name = f"{case.name}{model.ending}"
    previous = None if setting.previous is None else setting.previous / name
    target = output / case.name
    job = Job(case.images, target, previous, setting.probabilities, setting.entropy)
    if case.dicom is None:
        predict_bounded(predictor, model, job)
        return ""
    record = read_record(model.folder)
    code, why = record.written_as()
    source = find_source(case.dicom)
    with placed(output / name) as path, scratch_in(path.parent) as scratch:
        image = scratch / f"{case.name}_0000{model.ending}"
        sample = Sample((source.volume(),))
        (ready,) = prepare(sample, NO_LABELS, record.output(code), source.who).images
        sitk.WriteImage(ready, str(image))
        del sample, ready
        inner = replace(job, images=(image,), target=scratch / "out" / case.name)
        found = read_mask(predict_bounded(predictor, model, inner)).image
        done, note = on_own_grid(found, header_of(source.grid()), case.name)
        sitk.WriteImage(done, str(path))
    return "; ".join([*why, *([note] if note else [])])
