"""A case for pictures: image, reference and prediction in one orientation, labels as codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from dataset_conversion.io.geometry import oriented
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.boxes import box_of
from nnunet_plugins.evaluation.cases import (
    check_geometry,
    check_known,
    read,
    values_in,
    with_axes_of,
)
from nnunet_plugins.evaluation.labels import Labels
from nnunet_plugins.evaluation.value_map import ValueMap
from nnunet_plugins.natural_images import as_volume, is_natural, read_natural

MOST_CODES = 255
WINDOWS = {"CT": (-450.0, 1050.0)}  # HU of bone; other channels use percentiles


@dataclass(frozen=True)
class CaseFiles:
    """The files of a case; the image is None if it is not known."""

    name: str
    prediction: Path
    reference: Path
    image: Path | None = None


@dataclass(frozen=True)
class CaseVolumes:
    """Voxels (z, y, x) of a case in LPS orientation.

    Attributes:
        name: of the case.
        grey: 0 to 255; None without an image.
        reference: codes, see `Coding`.
        prediction: codes.
        grid: an image with the geometry.
        note: why an image that was expected is missing.
        oriented: whether the files state where the patient's left and head are.
    """

    name: str
    grey: NDArray[np.uint8] | None
    reference: NDArray[np.uint8]
    prediction: NDArray[np.uint8]
    grid: sitk.Image
    note: str = ""
    oriented: bool = True

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size in mm, in the order of the arrays' axes."""
        x, y, z = self.grid.GetSpacing()
        return z, y, x


class Coding:
    """One code for each set of labels that a voxel value belongs to; 0 belongs to none.

    Regions overlap: the value of a disc may belong to 'spine' and to 'disc'. Values that belong to the same labels
    share a code, so a region's prediction, which nnU-Net writes with the values of regions_class_order, equals its
    reference.

    Attributes:
        names: code - 1 -> name.
    """

    def __init__(self, labels: Labels) -> None:
        sets = {
            value: tuple(name for name, values in labels.values.items() if value in values)
            for value in sorted(labels.known - {0})
        }
        different = list(dict.fromkeys(sets.values()))[:MOST_CODES]
        self.names = [" + ".join(one) for one in different]
        self._table = np.zeros(max([0, *sets]) + 1, np.uint8)
        for value, names in sets.items():
            if names in different:
                self._table[value] = different.index(names) + 1

    def encode(self, voxels: NDArray[Any]) -> NDArray[np.uint8]:
        """Codes of a label map; values that are not declared become 0."""
        known = (voxels >= 0) & (voxels < self._table.size)
        coded: NDArray[np.uint8] = self._table[np.where(known, voxels, 0).astype(np.int64)]
        return coded


def load_case(
    files: CaseFiles,
    labels: Labels,
    channel: str = "",
    window: tuple[float, float] | None = None,
    values: ValueMap | None = None,
) -> CaseVolumes:
    """Read a case; voxels that the reference marks as ignored are background in both label maps.

    Args:
        files: of the case.
        labels: of the scores.
        channel: nnU-Net's name of the first channel; CT is shown in a fixed window.
        window: (low, high) that becomes black and white, instead of that of the channel.
        values: of a prediction of another tool.

    Raises:
        UserError: a file cannot be read, or the prediction is on another grid than the reference or holds values
            that are not declared.
    """
    true_map = read(files.reference)
    found_map, _ = with_axes_of(read(files.prediction), true_map)
    check_geometry(found_map, true_map)
    found_map = values.predicted(found_map) if values else found_map
    check_known(found_map, labels, values_in(found_map.voxels), may_ignore=False)
    reference, prediction = (_volume(one.image) for one in (true_map, found_map))
    coding = Coding(labels)
    true, found = (sitk.GetArrayFromImage(one) for one in (reference, prediction))
    codes = [coding.encode(true), coding.encode(found)]
    if labels.ignore is not None:
        for one in codes:
            one[true == labels.ignore] = 0
    grey, note = None, ""
    if files.image is not None:
        image = _read_image(files.image)
        if image.GetSize() == reference.GetSize():
            grey = to_grey(sitk.GetArrayFromImage(image), window or WINDOWS.get(channel.upper()))
        else:
            note = f"the image of {files.name} has another size than its reference; only the labels are shown"
    known = bool(true_map.orientation)
    return CaseVolumes(files.name, grey, codes[0], codes[1], reference, note, known)


def to_grey(values: NDArray[Any], window: tuple[float, float] | None = None) -> NDArray[np.uint8]:
    """Grey levels 0 to 255; without a window from the 0.5th to the 99.5th percentile of a sample.

    >>> to_grey(np.array([-450.0, 300.0, 3000.0]), window=(-450.0, 1050.0)).tolist()
    [0, 127, 255]
    """
    sample = values[tuple(slice(None, None, max(1, n // 96)) for n in values.shape)]
    low, high = window or tuple(float(v) for v in np.nanpercentile(sample, [0.5, 99.5]))
    scaled = (values.astype(np.float32) - low) * (255 / max(high - low, 1e-6))
    grey: NDArray[np.uint8] = np.nan_to_num(scaled).clip(0, 255).astype(np.uint8)
    return grey


def box_around(
    mask: NDArray[np.bool_], spacing: Sequence[float], margin: float
) -> tuple[slice, ...]:
    """The box around a mask with a margin in mm, within the array; the complete array if the mask is empty.

    >>> mask = np.zeros((6, 8), dtype=bool)
    >>> mask[3, 4] = True
    >>> box_around(mask, spacing=(2.0, 1.0), margin=2.0)
    (slice(2, 5, None), slice(2, 7, None))
    """
    found = box_of(mask, [round(margin / step) for step in spacing])
    return found or tuple(slice(0, size) for size in mask.shape)


def _read_image(path: Path) -> sitk.Image:
    if is_natural(path):
        found = read_natural(path)
        return as_volume(
            np.mean([one.astype(np.float32) for one in found.channels], axis=0), found.steps
        )
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise UserError(f"report: {path} cannot be read; is it a complete image file?") from error
    if image.GetNumberOfComponentsPerPixel() > 1:
        image = sitk.VectorIndexSelectionCast(image, 0)
    if image.GetDimension() not in (2, 3):
        raise UserError(f"report: {path} has {image.GetDimension()} axes; allowed are 2 or 3")
    return _volume(image)


def _volume(image: sitk.Image) -> sitk.Image:
    """An image of 2 or 3 axes as an LPS volume."""
    return oriented(sitk.JoinSeries(image) if image.GetDimension() == 2 else image)
