"""What may be done to a case once image and mask lie on one grid: values, recorded as they are."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import SimpleITK as sitk

from dataset_conversion.errors import DatasetError

Images = tuple[sitk.Image, ...]


class Step(Protocol):
    """A frozen dataclass that turns images and mask into others, true to where voxels lie.

    The mask has nnU-Net's values already and the images' grid; it is None in a case without.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __call__(self, images: Images, mask: sitk.Image | None) -> tuple[Images, sitk.Image | None]:
        """Return the new images and the new mask, on one grid."""


def described(step: Step) -> dict[str, Any]:
    """Return a step's name and fields, for the manifest."""
    return {"step": type(step).__name__, **asdict(step)}


def told(step: Step) -> str:
    """Return a step as a user reads it: `Resample, spacing 1 x 1 x 7`."""
    parts = []
    for name, value in asdict(step).items():
        shown = " x ".join(f"{v:g}" for v in value) if isinstance(value, tuple) else str(value)
        parts += [] if value is None else [f"{name} {shown}"]
    return ", ".join([type(step).__name__, *parts])


@dataclass(frozen=True)
class DropEmptySlices:
    """Cut slices (axis z) without a label from both ends; a case without a mask stays whole.

    Attributes:
        ignore: a value of the mask that is no label.
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
        return tuple(image[:, :, kept] for image in images), mask[:, :, kept]


@dataclass(frozen=True)
class CentralSlice:
    """Keep the middle slice along z, which has to run to the right (orientation PIR).

    Of n slices it is number n // 2, counted from 0 at the patient's right. A slice alone has no
    spacing to the next; all get the same thickness, as nnU-Net would resample those that differ
    and take the axis of the largest spacing for that of the slices.

    Attributes:
        thickness: mm that is written for it.
    """

    thickness: float = 4.0

    def __call__(self, images: Images, mask: sitk.Image | None) -> tuple[Images, sitk.Image | None]:
        """Cut images and mask alike."""
        in_plane = max(images[0].GetSpacing()[:2])
        if in_plane >= self.thickness:
            raise DatasetError(
                f"voxels of {in_plane:g} mm within the slice are not below the thickness of "
                f"{self.thickness:g} mm that a single slice gets; convert whole volumes"
            )
        at = (images[0].GetDepth() - 1) // 2
        return tuple(self._cut(image, at) for image in images), mask and self._cut(mask, at)

    def _cut(self, image: sitk.Image, at: int) -> sitk.Image:
        result = image[:, :, at : at + 1]
        result.SetSpacing([*image.GetSpacing()[:2], self.thickness])
        return result


@dataclass(frozen=True)
class CropWidth:
    """Narrow images along y (front to back, in LPS) to `width` of `of` columns.

    An image of another size keeps the same share of its columns. The brightest columns are kept;
    the window moves as little as is needed to hold every label.

    Attributes:
        width: columns that are kept of an image with `of` columns.
        of: see `width`.
    """

    width: int
    of: int = 880

    def __call__(self, images: Images, mask: sitk.Image | None) -> tuple[Images, sitk.Image | None]:
        """Crop images and mask alike."""
        columns = images[0].GetHeight()
        keep = round(columns * self.width / self.of)
        if keep >= columns:
            return images, mask
        light = np.abs(sitk.GetArrayViewFromImage(images[0])).sum(axis=(0, 2), dtype=np.float64)
        sums = np.convolve(light, np.ones(keep), "valid")
        best = np.flatnonzero(sums >= sums.max() * (1 - 1e-9))
        first = int(best[len(best) // 2])  # in the middle where many are as bright
        if mask is not None:
            found = np.flatnonzero(sitk.GetArrayViewFromImage(mask).any(axis=(0, 2)))
            if found.size:
                first = self._moved(first, keep, int(found[0]), int(found[-1]))
        kept = slice(first, first + keep)
        return tuple(image[:, kept, :] for image in images), None if mask is None else mask[
            :, kept, :
        ]

    def _moved(self, first: int, keep: int, low: int, high: int) -> int:
        if high - low >= keep:
            raise DatasetError(
                f"the labels are {high - low + 1} columns wide, the crop leaves {keep}; choose a "
                "wider one (--crop), or none"
            )
        return min(max(first, high - keep + 1), low)


@dataclass(frozen=True)
class Resample:
    """Give images other voxels: linear for images (float32), nearest neighbour for the mask.

    Attributes:
        spacing: mm: two in the plane of the slices, then from slice to slice. The axis whose
            voxels are the longest counts as the one across the slices.
    """

    spacing: tuple[float, float, float]

    def __call__(self, images: Images, mask: sitk.Image | None) -> tuple[Images, sitk.Image | None]:
        """Resample images and mask to the same grid; the volume's first edges stay."""
        grid = self._grid(images[0])
        smooth = tuple(
            sitk.Resample(
                sitk.Cast(image, sitk.sitkFloat32), grid, sitk.Transform(), sitk.sitkLinear
            )
            for image in images
        )
        if mask is None:
            return smooth, None
        return smooth, sitk.Resample(mask, grid, sitk.Transform(), sitk.sitkNearestNeighbor)

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
