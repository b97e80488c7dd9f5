"""Numbers of one case that show implausible data: a mask that does not fit its image, other units, other values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dataset_conversion.cases.edges import edge_next_to
from dataset_conversion.cases.label_box import label_box

_SHELL = 2  # voxels around the labels
_FEW = 500  # voxels of labels
_VOXELS = 1 << 21  # in the box of the labels, above which every second slice or fewer are measured,
_SLICES = 20  # but not fewer than these
_BORDER = 1 << 14  # voxels that suffice for a median


@dataclass(frozen=True)
class Measures:
    """Numbers of one case.

    Attributes:
        extent: longest side of the volume, mm.
        longest: voxels of that side.
        finest: smallest side of a voxel, mm.
        border: median of the first and the last rows, for each channel.
        mask: digest of the labels in their box; "" for few voxels, which may be equal by chance.
        contrast: mean of the labels minus that of a shell of 2 voxels around them, divided by the standard
            deviation of both together, for each channel; empty without labels.
        means: label value as text -> mean of each channel.
        next_to: `edge_next_to` of each channel; empty without labels.
    """

    extent: float
    longest: int
    finest: float
    border: tuple[float, ...]
    mask: str = ""
    contrast: tuple[float, ...] = ()
    means: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    next_to: tuple[float, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return JSON's types."""
        return {**vars(self), "border": list(self.border), "contrast": list(self.contrast),
                "next_to": list(self.next_to),
                "means": {value: list(found) for value, found in self.means.items()}}  # fmt: skip


def from_dict(entry: Mapping[str, Any]) -> Measures:
    """Return the measures of `Measures.to_dict`.

    Raises:
        TypeError: they are not in the form that this version writes.
    """
    means = {str(value): tuple(found) for value, found in entry.get("means", {}).items()}
    lists = {
        name: tuple(entry[name]) for name in ("border", "contrast", "next_to") if name in entry
    }
    return Measures(**{**entry, **lists, "means": means})


def measure(images: Sequence[np.ndarray], mask: np.ndarray | None,
            spacing: Sequence[float]) -> Measures:  # fmt: skip
    """Measure a case.

    Args:
        images: one (z, y, x) for each channel; for CT in HU.
        mask: label map (z, y, x).
        spacing: mm along x, y, z.

    >>> image, mask = np.zeros((9, 9, 9)), np.zeros((9, 9, 9), np.uint8)
    >>> image[4, 4, 4] = mask[4, 4, 4] = 1
    >>> found = measure([image], mask, (1.0, 1.0, 2.0))
    >>> found.extent, found.contrast, found.means
    (18.0, (11.23,), {'1': (1.0,)})
    """
    sides = [count * mm for count, mm in zip(images[0].shape, reversed(spacing), strict=True)]
    longest = images[0].shape[int(np.argmax(sides))]
    size = _rounded(max(sides)), longest, _rounded(min(spacing))
    border = tuple(_border(image) for image in images)
    box = None if mask is None else label_box(mask)
    if mask is None or box is None:
        return Measures(*size, border)
    wide = tuple(slice(max(0, part.start - _SHELL), part.stop + _SHELL) for part in box)
    some = _every(mask[wide])  # slices
    labels = mask[wide][some]
    held = labels > 0
    shell = _grown(mask[wide] > 0, some) & ~held
    values, counts = labels[held], np.bincount(labels[held])
    contrast, means = [], []
    for image in images:
        part = image[wide][some]
        inside, outside = part[held].astype(np.float64), part[shell].astype(np.float64)
        contrast.append(_contrast(inside, outside))
        means.append(np.bincount(values, inside) / np.maximum(counts, 1))
    enough = np.count_nonzero(mask[box]) >= _FEW
    return Measures(
        *size,
        border,
        _digest(mask[box]) if enough else "",
        tuple(contrast),
        {
            str(value): tuple(_rounded(found[value]) for found in means)
            for value in np.flatnonzero(counts).tolist()
        },
        tuple(_rounded(edge_next_to(image[wide], mask[wide])) for image in images),
    )


def _every(labels: np.ndarray) -> slice:
    """Return the slices that suffice for means: all of a small box, every few of a large one."""
    return slice(None, None, max(1, min(labels.size // _VOXELS, labels.shape[0] // _SLICES)))


def _grown(held: np.ndarray, some: slice) -> np.ndarray:
    """Return some slices of a mask with all voxels up to `_SHELL` from it along each axis."""
    for axis in range(3):
        source = np.moveaxis(held, axis, 0)
        grown = source.copy()
        for step in range(1, _SHELL + 1):
            grown[step:] |= source[:-step]
            grown[:-step] |= source[step:]
        held = np.moveaxis(grown, 0, axis)
        held = held[some] if axis == 0 else held
    return held


def _contrast(inside: np.ndarray, outside: np.ndarray) -> float:
    if not outside.size:
        return 0.0
    spread = float(np.concatenate([inside, outside]).std())
    return _rounded(float(inside.mean() - outside.mean()) / spread) if spread else 0.0


def _border(image: np.ndarray) -> float:
    ends = np.concatenate([image[:, 0].ravel(), image[:, -1].ravel()])
    return _rounded(float(np.median(ends[:: max(1, ends.size // _BORDER)])))


def _digest(labels: np.ndarray) -> str:
    found = hashlib.blake2b(str(labels.shape).encode(), digest_size=16)
    found.update(np.ascontiguousarray(labels, np.uint16).data)
    return found.hexdigest()


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
