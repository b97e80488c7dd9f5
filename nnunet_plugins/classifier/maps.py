"""Grad-CAM of a classifier's logit on the images' own grids, with the figures of `explain`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

from dataset_conversion.io.geometry import like
from nnunet_plugins.atomic_files import placed_in
from nnunet_plugins.classifier.folder import Classifier
from nnunet_plugins.classifier.networks import CHANNELS
from nnunet_plugins.classifier.train import load_case
from nnunet_plugins.classifier.training import load_network
from nnunet_plugins.explain.layers import Layer, layers_of
from nnunet_plugins.explain.maps import grad_cam
from nnunet_plugins.explain.overlay import draw
from nnunet_plugins.image_files import read_channels

_FEWEST = 16  # voxels of a map that still shows where


def write_maps(
    folder: Path, classifier: Classifier, cases: Sequence[str], *, device: str = "cpu"
) -> list[Path]:
    """Write CASE_gradcam.nii.gz and CASE_gradcam.png for each case, mean of the seeds, divided by its maximum.

    Raises:
        UserError: a file cannot be read or written.
    """
    settings, written = classifier.settings, []
    networks = [
        load_network(classifier.seed_folder(seed), settings, device) for seed in settings.seeds
    ]
    layer = last_map(layers_of(networks[0], CHANNELS, settings.size))
    work = [grad_cam(one, layer.name, [0], regions=True, everywhere=True) for one in networks]
    for case in cases:
        volume = load_case(classifier, case)
        patch = torch.from_numpy(volume.channels())[None].to(device)
        heat = np.mean([one(patch)[0][0, 0].cpu().numpy() for one in work], axis=0)
        heat = heat / (heat.max() or 1.0)
        image = read_channels(classifier.image(case))[0]
        placed = sitk.Resample(
            like(heat.astype(np.float32), volume.grid),
            image,
            sitk.Transform(),
            sitk.sitkLinear,
            0.0,
        )
        stem = f"{case}_gradcam"
        with placed_in(folder) as scratch:
            sitk.WriteImage(placed, str(scratch / f"{stem}.nii.gz"))
            title = f"Grad-CAM of {classifier.classes[1]} at {layer.name}, {settings.network}"
            draw(scratch / f"{stem}.png", image, {case: placed}, title)
        written += [folder / f"{stem}.nii.gz", folder / f"{stem}.png"]
    return written


def last_map(layers: Sequence[Layer]) -> Layer:
    """The last layer whose output still shows where, as Grad-CAM takes it; the largest one if all are small."""
    enough = [layer for layer in layers if layer.voxels >= _FEWEST]
    return enough[-1] if enough else max(layers, key=lambda layer: layer.voxels)
