"""From a DICOM folder straight to DICOM SEG and .seg.nrrd, through nnU-Net's own predictor."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from dataset_conversion.io.atomic_files import digest_of
from dataset_conversion.io.geometry import oriented
from dataset_conversion.io.label_maps import read_mask
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.labels import read_labels
from nnunet_plugins.export.run import Request, Written, export_case
from nnunet_plugins.export.source_series import find_source
from nnunet_plugins.prediction import Model, predict


def export_dicom(folder: Path, model: Model, predictor: Any, request: Request, *,
                 name: str | None = None) -> Written:  # fmt: skip
    """Predict a series and write the result beside its source's geometry.

    The volume is read as `convert` reads it (tilt and gaps are refused) and predicted in LPS.

    Args:
        folder: of the series.
        model: what predicts.
        predictor: the same, loaded.
        request: what is wanted.
        name: of the files; None makes one from the series' content, which names no one.

    Raises:
        UserError: the model wants several channels or another file format.
        DatasetError: no series, several, or none that makes a regular volume.
    """
    if model.channels != 1:
        raise UserError(
            f"{model.folder}: the model wants {model.channels} images a case; a DICOM folder gives one: convert "
            "the series, predict with nnUNetv2_predict, then export with --dicom"
        )
    source = find_source(folder, wanted=request.series)
    case = name or f"case_{digest_of(source.series.paths)[:8]}"
    labels = read_labels(model.folder / "dataset.json", "the model's dataset.json")
    with tempfile.TemporaryDirectory(prefix="nnunet-plugins.") as scratch:
        image = Path(scratch) / f"{case}_0000{model.ending}"
        sitk.WriteImage(oriented(source.volume()), str(image))
        found = read_mask(predict(predictor, [image], Path(scratch) / "out" / case)).image
    return export_case(case, found, labels, request, source)
