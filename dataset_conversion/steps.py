"""What may be done to a case once image and mask lie on one grid: values, recorded as they are."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import SimpleITK as sitk

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
