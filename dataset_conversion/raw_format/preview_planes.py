"""Three planes through a case, close around the body, small enough to be kept and drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk

from dataset_conversion.io.geometry import oriented

_SHOWN = 300  # pixels of a plane, at least, where the volume has as many


@dataclass(frozen=True)
class Cut:
    """One plane of a case: grey values 0 to 1, labels, its size in mm, where rows begin."""

    grey: np.ndarray
    mask: np.ndarray | None
    wide: float
    tall: float
    origin: str
    letters: str  # at the left, right, upper, lower edge


Cuts = tuple[Cut, Cut, Cut]


def middle(mask: np.ndarray | None, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the index (z, y, x) of a foreground's centre, of the volume's where there is none.

    Each plane through it holds some foreground: the most, where the centre's own holds none.
    """
    if mask is None or not mask.any():
        return tuple(n // 2 for n in shape)
    found = mask > 0
    plane = found.sum(axis=0)
    counts = (found.sum(axis=(1, 2)), plane.sum(axis=1), plane.sum(axis=0))
    centre = [round(float(n @ np.arange(n.size) / n.sum())) for n in counts]
    # Between two sides the centre may show nothing of either.
    return tuple(c if n[c] else int(n.argmax()) for n, c in zip(counts, centre, strict=True))


def cut(image: sitk.Image, mask: sitk.Image | None, display: tuple[float, float] | None,
        centre: sitk.Image | None = None) -> Cuts:  # fmt: skip
    """Cut a case through its foreground's centre in three planes, close around the body.

    Args:
        image: in any orientation.
        mask: on the image's grid.
        display: (low, high) shown black and white; None takes the 1st and 99.5th percentile.
        centre: mask whose centre is cut through instead of the mask's.
    """
    image = oriented(image)
    array = sitk.GetArrayViewFromImage(image)
    labels = None if mask is None else sitk.GetArrayFromImage(oriented(mask))
    at = middle(labels if centre is None else sitk.GetArrayFromImage(oriented(centre)), array.shape)
    # A sample of the voxels tells where the body lies and how bright it is.
    steps = tuple(max(1, n // 96) for n in array.shape)
    few = array[tuple(slice(None, None, step) for step in steps)]
    low, high = display or tuple(float(v) for v in np.percentile(few, [1, 99.5]))
    scale = max(high - low, 1e-9)
    tissue = few > low + 0.1 * scale
    _, rows, columns = (_span(tissue, axis, steps[axis], array.shape[axis]) for axis in range(3))
    # As NIfTI stores it, so that a case in memory gives the same picture as its file.
    x, y, z = (float(np.float32(value)) for value in image.GetSpacing())

    # LPS: x grows to the left, so lying rows as they are put R on the viewer's left; z grows to
    # the head, so upright planes are drawn from below (origin lower).
    def plane(where: Any, origin: str, wide: float, tall: float, letters: str) -> Cut:
        grey = np.clip((array[where].astype(np.float32) - low) / scale, 0, 1)
        size = grey.shape[1] * wide, grey.shape[0] * tall
        shown = None if labels is None else labels[where]
        return Cut(_smaller(grey), _thinned(shown), *size, origin, letters)

    return (
        plane((at[0], rows, columns), "upper", x, y, "RLAP"),
        plane((slice(None), at[1], columns), "lower", x, z, "RLSI"),
        plane((slice(None), rows, at[2]), "lower", y, z, "APSI"),
    )


def _smaller(grey: np.ndarray) -> np.ndarray:
    """Average blocks of a plane, down to what a cell can show."""
    rows, columns = (max(1, n // _SHOWN) for n in grey.shape)
    if rows == columns == 1:
        return grey
    tall, wide = grey.shape[0] // rows, grey.shape[1] // columns
    blocks = grey[: tall * rows, : wide * columns].reshape(tall, rows, wide, columns)
    result: np.ndarray = blocks.mean(axis=(1, 3))
    return result


def _thinned(mask: np.ndarray | None) -> np.ndarray | None:
    """Take the middle label of each block, as `_smaller` averages them."""
    if mask is None:
        return None
    rows, columns = (max(1, n // _SHOWN) for n in mask.shape)
    tall, wide = mask.shape[0] // rows, mask.shape[1] // columns
    return mask[rows // 2 : tall * rows : rows, columns // 2 : wide * columns : columns].copy()


def _span(tissue: np.ndarray, axis: int, step: int, count: int) -> slice:
    """Range along an axis of `count` voxels that holds tissue, a little wider; all if none."""
    others = tuple(a for a in range(3) if a != axis)
    found = np.flatnonzero(tissue.mean(axis=others) > 0.002)
    margin = max(1, count // 40)
    if not found.size:
        return slice(0, count)
    first, last = int(found[0]) * step, (int(found[-1]) + 1) * step
    return slice(max(0, first - margin), min(count, last + margin))
