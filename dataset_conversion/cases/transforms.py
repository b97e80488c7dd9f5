"""Transforms of a case whose image and mask share one grid: crops, the central slice, resampling.

Each is a frozen dataclass: its name and fields are recorded in the manifest and in the summary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import SimpleITK as sitk

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import orientation

Images = tuple[sitk.Image, ...]


class Step(Protocol):
    """A frozen dataclass that transforms images and mask and keeps their physical positions.

    The mask has nnU-Net's values and the images' grid; it is None if the case has none.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __call__(self, images: Images, mask: sitk.Image | None) -> tuple[Images, sitk.Image | None]:
        """Return the new images and the new mask, on one grid."""


def described(step: Step) -> dict[str, Any]:
    """Return a transform's name and fields, for the manifest."""
    return {"step": type(step).__name__, **asdict(step)}


def shown(step: Step) -> str:
    """Return a transform as text, for the summary.

    >>> shown(Resample((1.0, 1.0, 7.0)))
    'Resample, spacing 1 x 1 x 7'
    """
    parts = [type(step).__name__]
    for name, value in asdict(step).items():
        text = " x ".join(f"{v:g}" for v in value) if isinstance(value, tuple) else str(value)
        parts += [] if value is None else [f"{name} {text}"]
    return ", ".join(parts)


def _each(change: Callable[[sitk.Image], sitk.Image], images: Images,
          mask: sitk.Image | None) -> tuple[Images, sitk.Image | None]:  # fmt: skip
    return tuple(map(change, images)), None if mask is None else change(mask)


@dataclass(frozen=True)
class DropEmptySlices:
    """Cut slices (axis z) without a label from both ends; a case without a mask is not changed.

    Attributes:
        ignore: value of the mask that does not count as a label.
    """

    ignore: int | None = None

    def __call__(self, images: Images, mask: sitk.Image | None) -> tuple[Images, sitk.Image | None]:
        """Cut images and mask alike."""
        if mask is None:
            return images, mask
        array = sitk.GetArrayViewFromImage(mask)
        target = (array > 0) & (array != (-1 if self.ignore is None else self.ignore))
        rows = np.flatnonzero(target.any(axis=(1, 2)))
        if not rows.size:
            return images, mask
        kept = slice(int(rows[0]), int(rows[-1]) + 1)
        return _each(lambda volume: volume[:, :, kept], images, mask)


@dataclass(frozen=True)
class CentralSlice:
    """Keep the middle slice along z, which must run to the right (orientation PIR).

    Of n slices it is number n // 2, counted from 0 at the patient's right. A single slice has no
    spacing to the next. All get the same thickness, because nnU-Net resamples to the median
    spacing and takes the axis of the largest spacing as the axis across the slices.

    Attributes:
        thickness: slice thickness to write, in mm.
    """

    thickness: float = 4.0

    def __call__(self, images: Images, mask: sitk.Image | None) -> tuple[Images, sitk.Image | None]:
        """Cut images and mask alike.

        Raises:
            DatasetError: the voxels within the slice are not smaller than the thickness.
        """
        in_plane = max(images[0].GetSpacing()[:2])
        if in_plane >= self.thickness:
            raise DatasetError(
                f"voxels of {in_plane:g} mm within the slice are not below the thickness of "
                f"{self.thickness:g} mm that a single slice gets; convert complete volumes"
            )
        at = (images[0].GetDepth() - 1) // 2

        def cut(volume: sitk.Image) -> sitk.Image:
            result = volume[:, :, at : at + 1]
            result.SetSpacing([*volume.GetSpacing()[:2], self.thickness])
            return result

        return _each(cut, images, mask)


@dataclass(frozen=True)
class CropWidth:
    """Crop images from front to back to `width` of `of` columns.

    An image of another size keeps the same fraction of its columns. The brightest columns are
    kept; the window moves as little as needed to hold every label.

    Attributes:
        width: columns to keep of an image with `of` columns.
        of: see `width`.
    """

    width: int
    of: int = 880

    def __call__(self, images: Images, mask: sitk.Image | None) -> tuple[Images, sitk.Image | None]:
        """Crop images and mask alike.

        Raises:
            DatasetError: the labels are wider than the crop.
        """
        axis = next(i for i, letter in enumerate(orientation(images[0])) if letter in "AP")
        others = tuple(2 - i for i in range(3) if i != axis)  # of the array
        columns = images[0].GetSize()[axis]
        keep = round(columns * self.width / self.of)
        if keep >= columns:
            return images, mask
        light = np.abs(sitk.GetArrayViewFromImage(images[0])).sum(axis=others, dtype=np.float64)
        sums = np.convolve(light, np.ones(keep), "valid")
        best = np.flatnonzero(sums >= sums.max() * (1 - 1e-9))
        first = int(best[len(best) // 2])  # the middle one of equally bright windows
        if mask is not None:
            labelled = np.flatnonzero(sitk.GetArrayViewFromImage(mask).any(axis=others))
            if labelled.size:
                first = self._moved(first, keep, int(labelled[0]), int(labelled[-1]))
        kept = [slice(first, first + keep) if i == axis else slice(None) for i in range(3)]
        return _each(lambda volume: volume[tuple(kept)], images, mask)

    def _moved(self, first: int, keep: int, low: int, high: int) -> int:
        if high - low >= keep:
            raise DatasetError(
                f"the labels are {high - low + 1} columns wide, the crop leaves {keep}; choose a "
                "wider one (--crop), or none"
            )
        return min(max(first, high - keep + 1), low)


@dataclass(frozen=True)
class Resample:
    """Resample to other voxels: linear for images (float32), nearest neighbour for the mask.

    Attributes:
        spacing: mm: two within the slices, then from slice to slice. The axis with the longest
            voxels is taken as the axis across the slices.
    """

    spacing: tuple[float, float, float]

    def __call__(self, images: Images, mask: sitk.Image | None) -> tuple[Images, sitk.Image | None]:
        """Resample images and mask to one grid; the outer edges at index 0 stay in place."""
        grid, still = self._grid(images[0]), sitk.Transform()
        smooth = tuple(
            sitk.Resample(sitk.Cast(image, sitk.sitkFloat32), grid, still, sitk.sitkLinear)
            for image in images
        )
        if mask is None:
            return smooth, None
        return smooth, sitk.Resample(mask, grid, still, sitk.sitkNearestNeighbor)

    def _grid(self, image: sitk.Image) -> sitk.Image:
        old = image.GetSpacing()
        across = max(range(3), key=lambda axis: (round(old[axis], 3), axis))
        plane = iter(self.spacing[:2])
        new = [self.spacing[2] if axis == across else next(plane) for axis in range(3)]
        ratio = [n / o for n, o in zip(new, old, strict=True)]
        size = [
            max(1, int(n / r + 0.5 - 1e-6)) for n, r in zip(image.GetSize(), ratio, strict=True)
        ]
        grid = sitk.Image(size, sitk.sitkUInt8)
        grid.SetSpacing(new)
        grid.SetDirection(image.GetDirection())
        grid.SetOrigin(
            image.TransformContinuousIndexToPhysicalPoint([0.5 * (r - 1) for r in ratio])
        )
        return grid
