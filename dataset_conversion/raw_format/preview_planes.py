"""Three planes through a case, cropped to the body and small enough to keep and draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from dataset_conversion.io.geometry import oriented
from dataset_conversion.io.planes import PLANES, Plane

_SHOWN = 300  # pixels of a plane, at least, where the volume has as many


@dataclass(frozen=True)
class Cut:
    """One plane of a case, as it is drawn.

    Attributes:
        grey: values from 0 to 1 (row, column).
        mask: label values (row, column), if there is a mask.
        wide: mm.
        tall: mm.
        letters: directions at the left, right, upper and lower edge.
    """

    grey: NDArray[np.float32]
    mask: NDArray[Any] | None
    wide: float
    tall: float
    letters: str


Cuts = tuple[Cut, Cut, Cut]


def middle(mask: NDArray[Any] | None, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the index (z, y, x) of the foreground's centre, or of the volume's without foreground.

    Each plane through it contains foreground: where the centre's plane has none, the plane with
    the most is taken.
    """
    if mask is None or not mask.any():
        return tuple(n // 2 for n in shape)
    found = mask > 0
    plane = found.sum(axis=0)
    counts = (found.sum(axis=(1, 2)), plane.sum(axis=1), plane.sum(axis=0))
    centre = [round(float(n @ np.arange(n.size) / n.sum())) for n in counts]
    # The centre between left and right may be background.
    return tuple(c if n[c] else int(n.argmax()) for n, c in zip(counts, centre, strict=True))


def cut(image: sitk.Image, mask: sitk.Image | None, display: tuple[float, float] | None,
        centre: sitk.Image | None = None) -> Cuts:  # fmt: skip
    """Cut a case in three planes through the centre of its foreground, cropped to the body.

    Args:
        image: any orientation.
        mask: on the image's grid.
        display: (low, high) shown as black and white; None uses the 1st and 99.5th percentile.
        centre: mask whose centre is used instead of that of `mask`.
    """
    image = oriented(image)
    array = sitk.GetArrayViewFromImage(image)
    labels = None if mask is None else sitk.GetArrayFromImage(oriented(mask))
    at = middle(labels if centre is None else sitk.GetArrayFromImage(oriented(centre)), array.shape)
    # A sample of the voxels shows where the body is and how bright it is.
    steps = tuple(max(1, n // 96) for n in array.shape)
    few = array[tuple(slice(None, None, step) for step in steps)]
    low, high = display or tuple(float(v) for v in np.percentile(few, [1, 99.5]))
    scale = max(high - low, 1e-9)
    tissue = few > low + 0.1 * scale
    rows, columns = (_span(tissue, axis, steps[axis], array.shape[axis]) for axis in (1, 2))
    box = (slice(0, array.shape[0]), rows, columns)
    # float32 as in NIfTI, so that a case in memory gives the same picture as its file.
    spacing = [float(np.float32(value)) for value in image.GetSpacing()[::-1]]
    extents = [(s.stop - s.start) * mm for s, mm in zip(box, spacing, strict=True)]
    # Blocks of voxels are averaged down to what a cell of the preview can show.
    blocks = [max(1, (s.stop - s.start) // _SHOWN) for s in box]
    ends = [s.stop - (s.stop - s.start) % n for s, n in zip(box, blocks, strict=True)]
    filled = [slice(s.start, end) for s, end in zip(box, ends, strict=True)]
    middles = [slice(s.start + n // 2, end, n) for s, end, n in zip(box, ends, blocks, strict=True)]

    def shown(plane: Plane) -> Cut:
        down, along = plane.axes
        part = plane.cut(array, at, filled).astype(np.float32)
        grey = _averaged(np.clip((part - low) / scale, 0, 1), blocks[down], blocks[along])
        outline = None if labels is None else plane.cut(labels, at, middles).copy()
        return Cut(grey, outline, extents[along], extents[down], plane.letters)

    axial, coronal, sagittal = (shown(plane) for plane in PLANES)
    return axial, coronal, sagittal


def _averaged(grey: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    if rows == columns == 1:
        return grey
    tall, wide = grey.shape[0] // rows, grey.shape[1] // columns
    result: NDArray[np.float32] = grey.reshape(tall, rows, wide, columns).mean(axis=(1, 3))
    return result


def _span(tissue: NDArray[np.bool_], axis: int, step: int, count: int) -> slice:
    """Return the range along an axis of `count` voxels that holds tissue, with a margin; all if none."""
    others = tuple(a for a in range(3) if a != axis)
    found = np.flatnonzero(tissue.mean(axis=others) > 0.002)
    margin = max(1, count // 40)
    if not found.size:
        return slice(0, count)
    first, last = int(found[0]) * step, (int(found[-1]) + 1) * step
    return slice(max(0, first - margin), min(count, last + margin))
