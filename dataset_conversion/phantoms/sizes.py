"""Grids of the phantoms: full size as scanned, small for tests, demo in between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dataset_conversion.errors import DatasetError


@dataclass(frozen=True)
class Grid:
    """Voxels (z, y, x) and their size (x, y, z) in mm, along the body's axes."""

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]


def size_of(sizes: Mapping[str, Grid], size: str, dataset: str) -> Grid:
    """Look up a size by name."""
    if size not in sizes:
        raise DatasetError(f"{dataset} phantom: size {size!r}; allowed: {', '.join(sizes)}")
    return sizes[size]
