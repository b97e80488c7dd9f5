"""A case under every perturbation and its predictions, as cai2023-aspp-unet shows noise in its figure 6."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from dataset_conversion.io.geometry import oriented
from dataset_conversion.io.planes import Plane, finest
from nnunet_plugins.evaluation.labels import read_labels
from nnunet_plugins.plans_file import read_object
from nnunet_plugins.reports.picture_grid import Cell, Line, draw_grid
from nnunet_plugins.reports.sources import first_channel
from nnunet_plugins.reports.volumes import WINDOWS, Coding, to_grey
from nnunet_plugins.robustness.perturbations import PERTURBATIONS
from nnunet_plugins.robustness.run import CLEAN, Picture, Robustness


def perturbed_panels(paths: list[Path], found: Robustness, dataset: Path) -> None:
    """Draw the unperturbed image and those of every condition, and below each its prediction.

    All show the slice with the most labelled voxels of the reference, in the window of the unperturbed image.

    Args:
        paths: .png, .pdf or .svg.
        found: with the pictures of a case.
        dataset: dataset.json of the model.
    """
    clean = found.pictures[0]
    coding = Coding(read_labels(dataset, dataset.name))
    plane, point = _slice(oriented(found.reference))
    low, high = np.percentile(sitk.GetArrayViewFromImage(clean.image), [0.5, 99.5])
    channel = first_channel(read_object(dataset)).upper()
    window = found.setting.window or WINDOWS.get(channel) or (float(low), float(high))
    letters = plane.letters[:2] if min(clean.image.GetSize()) > 1 else ""
    images, predictions = [], []
    for one in found.pictures:
        grey, pixel = _cut(one.image, plane, point)
        images.append(Cell(to_grey(grey, window), pixel=pixel, title=_title(one)))
        labels, pixel = _cut(one.prediction, plane, point)
        predictions.append(Cell(None, coding.encode(labels), pixel=pixel))
    lines = []
    for above, below in zip(*(Line("", one).rows() for one in (images, predictions)), strict=True):
        lines += [Line("image", above, letters), Line("prediction", below)]
    draw_grid(paths, lines, coding.names)


def _slice(reference: sitk.Image) -> tuple[Plane, tuple[float, ...]]:
    """The plane, and a point in mm on the slice of an LPS volume that has the most labelled voxels."""
    labelled = sitk.GetArrayFromImage(reference) > 0
    plane = finest(labelled.shape, reference.GetSpacing()[::-1])
    middle = [(n - 1) / 2 for n in labelled.shape]
    middle[plane.across] = float(plane.fullest(labelled))
    return plane, reference.TransformContinuousIndexToPhysicalPoint(middle[::-1])


def _cut(
    image: sitk.Image, plane: Plane, point: tuple[float, ...]
) -> tuple[NDArray[Any], tuple[float, float]]:
    """The slice of an image through a point, and the height and width of its pixels in mm."""
    volume = oriented(image)
    array = sitk.GetArrayFromImage(volume)
    at = volume.TransformPhysicalPointToContinuousIndex(point)[::-1]
    place = [int(np.clip(round(i), 0, n - 1)) for i, n in zip(at, array.shape, strict=True)]
    return plane.cut(array, place), plane.pixel(volume.GetSpacing()[::-1])


def _title(one: Picture) -> str:
    if one.name == CLEAN:
        return "unperturbed"
    unit = PERTURBATIONS[one.name].unit
    return f"{one.name} {one.strength:g} {unit}" if unit != "k" else f"k = {one.strength:g}"
