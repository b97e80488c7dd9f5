"""From a loaded sample to the volumes that are written: LPS, one grid, remapped, trimmed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from dataset_conversion.case import Output, Sample
from dataset_conversion.errors import DatasetError
from dataset_conversion.geometry import affine, like, on_grid, to_lps
from dataset_conversion.labels import Labels


@dataclass(frozen=True)
class Prepared:
    """Volumes ready to write; `voxels` counts each of nnU-Net's label values."""

    images: tuple[sitk.Image, ...]
    mask: sitk.Image | None
    voxels: dict[int, int]
    notes: tuple[str, ...]


def prepare(sample: Sample, labels: Labels, output: Output, who: str) -> Prepared:
    """Orient to LPS, place and renumber the mask, trim, and choose the type.

    Args:
        sample: the loaded source.
        labels: names and remap.
        output: window, trimming, and whether empty masks may pass.
        who: the source, for messages.

    Raises:
        DatasetError: channels on different grids; what `on_grid` and `Labels.renumber` stop at;
            an empty mask without permission.
    """
    images = [to_lps(image) for image in sample.images]
    _check_channels(images, who)
    notes = list(sample.notes)
    mask = None
    voxels = dict.fromkeys(sorted(labels.remap.values()), 0)
    if sample.mask is not None:
        placed, note = on_grid(sample.mask, images[0], who)
        notes += [note] if note else []
        array = labels.renumber(sitk.GetArrayViewFromImage(placed), who)
        mask = like(array, images[0])
        target = _target(array, labels)
        if not target.any():
            check_not_empty(False, output, who)
        elif output.drop_empty_slices:
            first, last = _extent(target)
            images = [image[:, :, first : last + 1] for image in images]
            mask, array = mask[:, :, first : last + 1], array[first : last + 1]
        voxels.update(enumerate(np.bincount(array.ravel()).tolist()))
    typed = tuple(_typed(image, output.window) for image in images)
    return Prepared(typed, mask, voxels, tuple(notes))


def check_not_empty(has_label: bool, output: Output, who: str) -> None:
    """Stop at a mask without labels unless the user allows it."""
    if not has_label and not output.allow_empty_masks:
        raise DatasetError(
            f"{who}: the mask is empty; take the mask away (the case then goes to imagesTs), or "
            "allow empty masks (--allow-empty-masks) if nothing is to be found in this patient"
        )


def _check_channels(images: Sequence[sitk.Image], who: str) -> None:
    first = images[0]
    for number, image in enumerate(images[1:], 1):
        same = image.GetSize() == first.GetSize()
        if not (same and np.allclose(affine(image), affine(first), atol=1e-3)):
            raise DatasetError(
                f"{who}: channel {number} lies on another grid than channel 0; resample it"
            )


def _target(array: np.ndarray, labels: Labels) -> np.ndarray:
    """Voxels with a label other than background and ignore."""
    found: np.ndarray = array > 0
    if labels.ignore is not None:
        found &= array != labels.remap[labels.ignore]
    return found


def _extent(target: np.ndarray) -> tuple[int, int]:
    """First and last index along z with any target."""
    rows = np.flatnonzero(target.any(axis=(1, 2)))
    return int(rows[0]), int(rows[-1])


def _typed(image: sitk.Image, window: tuple[float, float] | None) -> sitk.Image:
    """Return int16 where that keeps every value, else float32; windowed values are float32."""
    array = sitk.GetArrayViewFromImage(image)
    if window is not None:
        low, high = window
        scaled = (np.clip(array.astype(np.float64), low, high) - low) / (high - low)
        return like(scaled.astype(np.float32), image)
    low, high = float(array.min()), float(array.max())
    whole = array.dtype.kind in "iub" or bool((array == np.rint(array)).all())
    fits = whole and low >= -32768 and high <= 32767
    return like(array.astype(np.int16 if fits else np.float32), image)
