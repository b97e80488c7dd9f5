"""Explain one case: preprocess it as nnU-Net does, compute maps, and resample them to the image's grid."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch
from torch import Tensor

from dataset_conversion.io.geometry import like
from nnunet_plugins.errors import UserError
from nnunet_plugins.explain.layers import Layer, find_layer, layers_of
from nnunet_plugins.explain.maps import Progress, attention, attention_names, grad_cam, slide
from nnunet_plugins.image_files import check_channels, find_channels, is_image, stored_orientation
from nnunet_plugins.model_orientation import notes_on, read, returned, turned
from nnunet_plugins.prediction import READERS, Model, plain_network, quiet
from nnunet_plugins.scratch import scratch_in


@dataclass(frozen=True)
class Explanation:
    """Maps on the image's grid.

    Attributes:
        image: the case's first channel.
        cams: class -> Grad-CAM, divided by its maximum (0 to 1).
        peaks: class -> that maximum; 0 if the network predicts no voxel of the class.
        attention: module -> coefficients in 0 to 1.
        layer: layer of the Grad-CAM.
        notes: remarks for the reader.
        oriented: whether the image states where the patient's left and head are.
    """

    image: sitk.Image
    cams: dict[str, sitk.Image]
    peaks: dict[str, float]
    attention: dict[str, sitk.Image]
    layer: Layer
    notes: tuple[str, ...] = ()
    oriented: bool = True


def list_layers(predictor: Any, model: Model) -> list[Layer]:
    """The network's layers that output maps."""
    patch = predictor.configuration_manager.patch_size
    return layers_of(plain_network(predictor), model.channels, patch)


def find_images(case: Path, model: Model) -> list[Path]:
    """The images of a case, one per channel, given the first channel's file.

    Raises:
        UserError: a file does not exist, a channel is missing, or the format is another one.
    """
    if not case.is_file():
        raise UserError(
            f"explain: {case}: no such file; give the case's image, CASE_0000{model.ending}"
        )
    if not is_image(case) or not case.name.endswith(model.ending):
        raise UserError(
            f"explain: {case.name}: the model reads {model.ending} files; convert it first"
        )
    stem = re.sub(r"_0000$", "", case.name[: -len(model.ending)])
    images = [case]
    if model.channels > 1:
        images = find_channels(stem, case.parent, model.ending, model.channels)
    missing = [path.name for path in images if not path.is_file()]
    if missing:
        raise UserError(
            f"explain: {case.name}: the model needs {model.channels} images per case; missing in its folder: "
            f"{', '.join(missing)}"
        )
    check_channels(images, model.channels)
    return images


def find_classes(predictor: Any, names: Sequence[str] | None) -> dict[str, int]:
    """Class -> channel of the logits; without names, the first foreground class.

    Raises:
        UserError: unknown label; the message lists the known ones.
    """
    manager = predictor.label_manager
    labels = {
        name: value for name, value in predictor.dataset_json["labels"].items() if name != "ignore"
    }
    if manager.has_regions:
        inside = [name for name, value in labels.items() if value not in (0, [0])]
        known = {name: channel for channel, name in enumerate(inside)}
    else:
        plain = {n: v[0] if isinstance(v, (list, tuple)) else v for n, v in labels.items()}
        known = {name: list(manager.all_labels).index(value) for name, value in plain.items()}
    foreground = [name for name in known if labels[name] not in (0, [0])]
    unknown = [name for name in names or [] if name not in known]
    if unknown:
        raise UserError(f"--label {unknown[0]}: unknown label; allowed: {', '.join(known)}")
    return {name: known[name] for name in names or foreground[:1]}


def explain(predictor: Any, model: Model, images: Sequence[Path], *, labels: Sequence[str] | None = None,
            layer: str | None = None, everywhere: bool = False, progress: Progress | None = None,
            ) -> Explanation:  # fmt: skip
    """Compute the Grad-CAM of classes at a layer, and the attention maps, of an entire case.

    Maps are averaged over the folds. The case is explained in the model's orientation; the maps are on its own grid.

    Args:
        predictor: nnU-Net's predictor with the model loaded.
        model: the model folder.
        images: one file per channel.
        labels: classes; the first foreground class by default.
        layer: name of a layer; the bottleneck by default.
        everywhere: sum the logits over all voxels, not only over those predicted as the class.
        progress: wraps the list of windows.

    Raises:
        UserError: unknown label or layer, or an image that cannot be read.
    """
    reader = predictor.plans_manager.image_reader_writer_class
    if reader.__name__ not in READERS:
        raise UserError(
            f"explain: the model reads images with {reader.__name__}; supported are {', '.join(READERS)}: "
            '"overwrite_image_reader_writer" of the dataset.json with which the model was planned'
        )
    classes = find_classes(predictor, labels)
    network = plain_network(predictor)
    chosen = find_layer(list_layers(predictor, model), layer)
    image = read(images[0])
    settings = predictor.configuration_manager
    with scratch_in() as scratch, quiet():
        files = turned(images, model.orientation, scratch)
        data, _, properties = settings.preprocessor_class(verbose=False).run_case(
            [str(path) for path in files],
            None,
            predictor.plans_manager,
            settings,
            predictor.dataset_json,
        )
        seen = read(files[0])
    values = torch.from_numpy(np.ascontiguousarray(data)).float()
    gates = attention_names(network)
    cam = grad_cam(network, chosen.name, list(classes.values()),
                   regions=predictor.label_manager.has_regions, everywhere=everywhere)  # fmt: skip
    look = attention(network, gates)

    def work(patch: Tensor) -> list[Tensor]:
        return cam(patch) + (look(patch) if gates else [])

    total: list[Tensor] = []
    for parameters in predictor.list_of_parameters:
        network.load_state_dict(parameters)
        found = slide(predictor, values, work, progress)
        total = [a + b for a, b in zip(total, found, strict=True)] if total else found
    maps = [
        _on_grid(one / len(predictor.list_of_parameters), properties, predictor, seen)
        for one in total
    ]
    peaks = {name: float(one.max()) for name, one in zip(classes, maps, strict=False)}
    scaled = [one / (peaks[name] or 1.0) for name, one in zip(classes, maps, strict=False)]

    def placed(values: np.ndarray) -> sitk.Image:
        return returned(like(values.astype(np.float32), seen), image)

    return Explanation(
        image,
        {name: placed(one) for name, one in zip(classes, scaled, strict=True)},
        peaks,
        {name: placed(one) for name, one in zip(gates, maps[len(classes) :], strict=True)},
        chosen,
        tuple(notes_on(images, model.orientation, model.folder)),
        bool(stored_orientation(images[0])),
    )


def _on_grid(
    values: Tensor, properties: dict[str, Any], predictor: Any, image: sitk.Image
) -> np.ndarray:
    """Resample, uncrop and transpose, as nnU-Net does with its logits; voxels outside the crop are 0."""
    plans, settings = predictor.plans_manager, predictor.configuration_manager
    shape = properties["shape_after_cropping_and_before_resampling"]
    spacing = [properties["spacing"][axis] for axis in plans.transpose_forward]
    here = (
        settings.spacing if len(settings.spacing) == len(shape) else [spacing[0], *settings.spacing]
    )
    resampled = np.asarray(
        settings.resampling_fn_probabilities(values[None].numpy(), shape, here, spacing)
    )[0]
    full = np.zeros(properties["shape_before_cropping"], np.float32)
    box = tuple(slice(first, last) for first, last in properties["bbox_used_for_cropping"])
    # Splines overshoot below 0.
    full[box] = np.clip(resampled, 0, float(values.max()))
    transposed = full.transpose(plans.transpose_backward)
    if transposed.shape != image.GetSize()[::-1]:
        raise UserError(
            f"explain: the map has {transposed.shape} voxels, the image {image.GetSize()[::-1]}"
        )
    return np.ascontiguousarray(transposed)
