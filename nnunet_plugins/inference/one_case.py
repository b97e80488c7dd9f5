"""One case: files, or a DICOM series, to a label map on its own grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nnunet_plugins.export.from_dicom import predict_series
from nnunet_plugins.export.source_series import find_source
from nnunet_plugins.inference.cases import Case
from nnunet_plugins.inference.setting import Setting
from nnunet_plugins.prediction.bounded import Job, predict_bounded
from nnunet_plugins.prediction.model import Model


def predict_one(predictor: Any, model: Model, case: Case, output: Path, setting: Setting) -> str:
    """Predict a case and write its files; returns a note or ''.

    Raises:
        UserError: an image cannot be read or written.
        DatasetError: the series is not a regular volume, or the model needs a window that it does not record.
    """
    target = output / case.name
    previous = setting.previous_of(case.name, model)
    if case.dicom is None:
        predict_bounded(predictor, model, Job(case.images, target, previous, setting.outputs))
        return ""
    output.mkdir(parents=True, exist_ok=True)
    source = find_source(case.dicom)
    _, notes = predict_series(
        predictor, model, source, target, previous=previous, outputs=setting.outputs
    )
    return "; ".join(notes)
