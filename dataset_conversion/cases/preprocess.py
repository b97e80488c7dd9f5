"""Turn a loaded sample into the volumes to write: orientation, grid, labels, transforms, type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk

from dataset_conversion.cases.case import Output, Sample
from dataset_conversion.cases.holes import holes
from dataset_conversion.cases.intensities import Intensities, intensities
from dataset_conversion.cases.mask_alignment import on_grid
from dataset_conversion.cases.measures import Measures, measure
from dataset_conversion.cases.side_check import exchanged_sides
from dataset_conversion.cases.transforms import Images
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import affine, like, orientation, oriented
from dataset_conversion.io.orientation import stored_code
from dataset_conversion.labels import Labels, histogram

_SPACINGS = (0.01, 100.0)  # mm


@dataclass(frozen=True)
class Prepared:
    """Volumes ready to write.

    Attributes:
        images: one volume per channel.
        mask: label map with nnU-Net's values; None if there is none.
        voxels: nnU-Net's label value -> number of voxels.
        notes: messages for the summary.
        grid: size (x, y, z), spacing in mm and orientation of the source's first channel.
        facts: on the values of each channel, before the transforms.
        measures: what shows implausible data, before the transforms.
    """

    images: Images
    mask: sitk.Image | None
    voxels: dict[int, int]
    notes: tuple[str, ...]
    grid: dict[str, Any]
    facts: tuple[Intensities, ...] = ()
    measures: Measures | None = None


def prepare(sample: Sample, labels: Labels, output: Output, who: str) -> Prepared:
    """Orient the images, align and renumber the mask, apply the transforms, choose the data type.

    Raises:
        DatasetError: channels on different grids, implausible spacing, an image that is a mask,
            an empty mask without permission, labels of left and right that are exchanged, and the errors of
            `on_grid` and `Labels.check`.
    """
    first = sample.images[0]
    code = stored_code(first.GetSpacing(), orientation(first), output.orientation)
    images: Images = tuple(oriented(_typed(image, None), code) for image in sample.images)
    _check_channels(images, who)
    _check_spacing(images[0], who)
    notes = [*sample.notes, *_check_not_masks(images, labels, who)]
    mask, voxels = None, dict.fromkeys(sorted(labels.remap.values()), 0)
    if sample.mask is not None:
        placed, note = on_grid(sample.mask, first, who, output.resample_mask, crop=True,
                               ignore_header=output.ignore_mask_header)  # fmt: skip
        notes += [note] if note else []
        turned = oriented(placed, code)
        source = sitk.GetArrayViewFromImage(turned)  # a view: keep `turned` alive
        array, voxels = labels.renumbered(source, histogram(source), who)
        mask = like(array, images[0])
        if not output.sides_as_labelled:
            _check_sides(mask, labels, who)
        gaps = holes(array, images[0].GetSpacing())
        notes += [gaps] if gaps else []
    views = [sitk.GetArrayViewFromImage(image) for image in images]
    facts = tuple(intensities(view) for view in views)
    label_map = None if mask is None else sitk.GetArrayViewFromImage(mask)
    measures = measure(views, label_map, images[0].GetSpacing())
    del views, label_map  # of volumes that the steps replace
    for step in output.steps:
        images, mask = step(images, mask)
    if mask is not None:
        if output.steps:
            array = sitk.GetArrayViewFromImage(mask)
            voxels = {**dict.fromkeys(voxels, 0), **histogram(array)}
        check_not_empty(holds_label(voxels, labels), output.allow_empty, who)
    typed = tuple(_typed(image, output.window) for image in images)
    return Prepared(typed, mask, voxels, tuple(notes), _grid(first), facts, measures)


def holds_label(voxels: dict[int, int], labels: Labels) -> bool:
    """Check whether any of nnU-Net's values other than background and ignore has voxels."""
    ignore = None if labels.ignore is None else labels.remap[labels.ignore]
    return any(count for value, count in voxels.items() if value not in (0, ignore))


def check_not_empty(has_label: bool, allowed: bool, who: str) -> None:
    """Reject a mask without labels unless the user allows it."""
    if not has_label and not allowed:
        raise DatasetError(
            f"{who}: the mask is empty; remove the mask (the case then goes to imagesTs), or "
            "pass --allow-empty if there is nothing to label in this patient"
        )


def _check_sides(mask: sitk.Image, labels: Labels, who: str) -> None:
    wrong = exchanged_sides(mask, labels.written())
    if wrong:
        raise DatasetError(
            f"{who}: {wrong}: left and right are exchanged in the labels, or the mask is mirrored; correct the "
            "labels file or the mask, or pass --sides-as-labelled if this is meant"
        )


def _check_channels(images: Sequence[sitk.Image], who: str) -> None:
    first = images[0]
    for number, image in enumerate(images[1:], 1):
        same = image.GetSize() == first.GetSize()
        if not (same and np.allclose(affine(image), affine(first), atol=1e-3)):
            raise DatasetError(
                f"{who}: channel {number} is on another grid than channel 0; resample it"
            )


def _check_spacing(image: sitk.Image, who: str) -> None:
    """Reject spacings that no scanner produces, e.g. lengths in metres."""
    low, high = _SPACINGS
    if not all(low <= mm <= high for mm in image.GetSpacing()):
        shown = " x ".join(f"{mm:.4g}" for mm in image.GetSpacing())
        raise DatasetError(
            f"{who}: spacing {shown} mm (allowed {low:g} to {high:g}): are its lengths in another "
            "unit? Export it in mm"
        )


def _check_not_masks(images: Images, labels: Labels, who: str) -> list[str]:
    """Reject an image that holds only label values: a mask with the name of an image.

    Of several channels, one may be a rough segmentation, or empty: that is noted.
    """
    found = {number: values for number, image in enumerate(images)
             if (values := _label_values(image, labels))}  # fmt: skip
    if len(found) == len(images):
        raise DatasetError(
            f"{who}: the image holds only label values ({found[0]}): is it a mask, or empty? Replace "
            "it with the image"
        )
    return [f"channel {number} holds only label values ({values}): is it a segmentation, or empty?"
            for number, values in found.items()]  # fmt: skip


def _label_values(image: sitk.Image, labels: Labels) -> str:
    """Return an image's values as text if all are label values, else an empty text."""
    array, known = sitk.GetArrayViewFromImage(image), list(labels.remap)
    few = array[tuple(slice(None, None, max(1, n // 24)) for n in array.shape)]
    if np.isin(few, known).all() and np.isin(array, known).all():
        return ", ".join(f"{value:g}" for value in np.unique(array))
    return ""


def _grid(image: sitk.Image) -> dict[str, Any]:
    return {
        "size": list(image.GetSize()),
        "spacing": [round(value, 5) for value in image.GetSpacing()],
        "orientation": orientation(image),
    }


def _typed(image: sitk.Image, window: tuple[float, float] | None) -> sitk.Image:
    """Return int16 if that keeps every value, else float32; windowed values are float32."""
    array = sitk.GetArrayViewFromImage(image)
    if window is not None:
        low, high = window
        scaled = (np.clip(array.astype(np.float64), low, high) - low) / (high - low)
        return like(scaled.astype(np.float32), image)
    if array.dtype == np.int16:
        return image
    low, high = float(array.min()), float(array.max())
    fits = low >= -32768 and high <= 32767
    if fits:  # far cheaper than testing every float for a fraction
        short = array.astype(np.int16)
        fits = array.dtype.kind in "iub" or bool((short == array).all())
    return like(short if fits else array.astype(np.float32), image)
