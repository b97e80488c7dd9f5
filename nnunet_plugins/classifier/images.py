"""Images and masks on one grid: slices first, one voxel size, z-score, cut or padded around the image's centre."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from dataset_conversion.cases.mask_alignment import on_grid
from dataset_conversion.errors import DatasetError, some
from dataset_conversion.io.geometry import like, orientation
from dataset_conversion.io.orientation import SLICES_FIRST, oriented_to
from nnunet_plugins.classifier.settings import Settings
from nnunet_plugins.errors import UserError, without_options
from nnunet_plugins.image_files import read_channels, read_labels_on


@dataclass(frozen=True)
class Volume:
    """One case on the grid of the network.

    Attributes:
        image: z-scores; (z, y, x), float16.
        mask: whether a voxel is in a lesion; (z, y, x), bool.
        grid: its geometry; all values are 0.
        orientation: the directions of x, y and z, such as LIP for coronal slices.
        digest: of the grey values of the image file, whatever its name, type, compression and order of axes.
        notes: on the mask, without the case, so that equal ones can be listed together.
    """

    image: NDArray[np.float16]
    mask: NDArray[np.bool_]
    grid: sitk.Image
    orientation: str
    digest: str
    notes: tuple[str, ...] = ()

    def channels(self) -> NDArray[np.float32]:
        """The image, and the image within the mask (0 outside); (2, z, y, x)."""
        image = self.image.astype(np.float32)
        return np.stack([image, image * self.mask])


def load(
    image: Path, mask: Path, values: Sequence[int], settings: Settings, declared: Sequence[int] = ()
) -> Volume:
    """Read a case.

    Args:
        image: one channel.
        mask: label map on the image's grid; it may be empty.
        values: labels that count as lesion; none: all but 0.
        settings: size and spacing of the grid.
        declared: values that a mask may hold; none: any whole numbers.

    Raises:
        UserError: a file cannot be read, the mask is on another grid or holds other values, or the image has equal
            values only.
    """
    picture = read_channels(image)[0]
    try:
        labels, note = on_grid(read_labels_on(mask, picture), picture, f"mask {mask}")
    except DatasetError as error:
        raise UserError(without_options(error)) from error
    found = sitk.GetArrayViewFromImage(labels)
    unknown = [v for v in np.unique(found).tolist() if (v not in declared if declared else v % 1)]
    if unknown:
        raise UserError(
            f"mask {mask}: holds the values {some([f'{v:g}' for v in unknown])}; allowed are "
            f"{some(declared) or 'whole numbers'}: pass label maps of the labels in dataset.json, not probabilities"
        )
    lesion = np.isin(found, values) if values else found != 0
    turned = oriented_to(picture, SLICES_FIRST)
    grey = sitk.GetArrayFromImage(turned).astype(np.float32)
    spread = float(grey.std())
    if not np.isfinite(spread) or spread == 0:
        raise UserError(f"{image}: has no contrast (standard deviation {spread:g}); check the file")
    first = like((grey - grey.mean()) / spread, turned)
    second = oriented_to(like(lesion.astype(np.uint8), picture), SLICES_FIRST)
    grid = _grid(first, settings)
    resampled = sitk.Resample(first, grid, sitk.Transform(), sitk.sitkLinear, 0.0)
    nearest = sitk.Resample(second, grid, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    return Volume(
        sitk.GetArrayFromImage(resampled).astype(np.float16),
        sitk.GetArrayFromImage(nearest) > 0,
        grid,
        orientation(first),
        hashlib.sha256(repr(grey.shape).encode() + grey.tobytes()).hexdigest(),
        tuple(filter(None, (note, _cut_off(second, settings)))),
    )


def notes_of(volumes: Mapping[str, Volume]) -> list[str]:
    """Notes on the masks of volumes, each with its cases."""
    cases: dict[str, list[str]] = {}
    for case, volume in volumes.items():
        for note in volume.notes:
            cases.setdefault(note, []).append(case)
    return [f"{note}: {some(names)}" for note, names in cases.items()]


def check_one_plane(volumes: dict[str, Volume]) -> None:
    """Check that all cases have slices in the same plane.

    Raises:
        UserError: they do not; the message names a case for each plane.
    """
    first: dict[str, str] = {}
    for case, one in volumes.items():
        first.setdefault(one.orientation, case)
    if len(first) > 1:
        examples = ", ".join(f"{code} ({case})" for code, case in first.items())
        raise UserError(
            f"slices run in different planes: {examples}; leave out the cases of one plane, or train one "
            "classifier per plane"
        )


def _cut_off(lesion: sitk.Image, settings: Settings) -> str:
    """A note if lesions are outside the network's grid, which has the image's centre; '' if none is."""
    at = np.argwhere(sitk.GetArrayViewFromImage(lesion))
    middle = (np.array(lesion.GetSize()[::-1]) - 1) / 2
    away = np.abs(at - middle) * lesion.GetSpacing()[::-1]
    if (away <= np.multiply(settings.size, settings.spacing) / 2).all():
        return ""
    return "lesions outside the network's grid are cut off, see --size and --spacing"


def _grid(image: sitk.Image, settings: Settings) -> sitk.Image:
    """An empty image with the size and spacing of the settings and the centre and direction of an image."""
    size, spacing = settings.size[::-1], settings.spacing[::-1]
    grid = sitk.Image([int(n) for n in size], sitk.sitkUInt8)
    grid.SetSpacing([float(mm) for mm in spacing])
    grid.SetDirection(image.GetDirection())
    centre = image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()])
    reach = np.array([(n - 1) / 2 * mm for n, mm in zip(size, spacing, strict=True)])
    direction = np.reshape(image.GetDirection(), (3, 3))
    grid.SetOrigin([float(v) for v in np.array(centre) - direction @ reach])
    return grid
