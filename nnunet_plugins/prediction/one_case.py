"""One case through nnU-Net's own predictor, as it is stored or in the model's orientation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from nnunet_plugins.atomic_files import placed_in
from nnunet_plugins.model_orientation import read, returned, turned
from nnunet_plugins.natural_images import spacing_file
from nnunet_plugins.prediction.loading import quiet
from nnunet_plugins.prediction.model import Model


def predict(predictor: Any, images: Sequence[Path], target: Path) -> Path:
    """Predict one case as it is stored and return the path of the label map; see `predict_on_grid`.

    Args:
        predictor: from `load`.
        images: one file per channel, in the order of dataset.json.
        target: output path without its ending; nnU-Net writes its own JSON files into the same folder.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with quiet():
        predictor.predict_from_files_sequential([[str(image) for image in images]], [str(target)])
    return target.with_name(target.name + predictor.dataset_json["file_ending"])


def predict_on_grid(predictor: Any, model: Model, images: Sequence[Path], target: Path) -> Path:
    """Predict one case in the model's orientation; the label map is on the first image's grid and appears complete.

    Args:
        predictor: from `load`.
        model: the model folder.
        images: one file per channel, in any orientation.
        target: output path without its ending.

    Raises:
        UserError: an image cannot be read.
    """
    with placed_in(target.parent) as scratch:
        files = turned(images, model.orientation, scratch / "turned")
        found = predict(predictor, files, scratch / "out" / target.name)
        if files != list(images):
            back = returned(sitk.ReadImage(str(found)), read(images[0]))
            sitk.WriteImage(back, str(found))
        for path in filter(None, (found, spacing_file(found))):
            os.replace(path, scratch / path.name)
    return target.with_name(found.name)
