"""What the writers of all phantoms share: a grid by the name of its size, and a fault in the first image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset_conversion.errors import DatasetError
from dataset_conversion.phantoms.faults import inject
from dataset_conversion.phantoms.truth import Truth

Write = Callable[..., list[Truth]]


@dataclass(frozen=True)
class Grid:
    """Voxels (z, y, x) and their size (x, y, z) in mm, along the body's axes."""

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]

    def axes(self) -> list[np.ndarray]:
        """Return the positions (mm) of the voxels along x, y and z, with 0 in the middle.

        >>> Grid((1, 2, 3), (1.0, 2.0, 3.0)).axes()
        [array([-1.,  0.,  1.]), array([-1.,  1.]), array([0.])]
        """
        sizes = zip(self.shape[::-1], self.spacing, strict=True)
        return [(np.arange(count) - (count - 1) / 2) * mm for count, mm in sizes]

    def placed(self, axes: Sequence[np.ndarray], shift: np.ndarray,
               ends: Sequence[tuple[int, int]] = ((0, -1),) * 3) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """Return the affine to LPS mm of axes that are moved, and the box (low, high) of the field of view.

        Args:
            axes: positions of the voxels along x, y and z.
            shift: mm along x, y, z.
            ends: first and last voxel of the field of view along each axis.
        """
        affine = np.diag([*self.spacing, 1.0])
        affine[:3, 3] = [axis[0] for axis in axes] + shift
        seen = np.array([axis[list(pair)] for axis, pair in zip(axes, ends, strict=True)]).T + shift
        return affine, seen + 0.5 * np.array([[-1], [1]]) * self.spacing


def phantom(dataset: str, sizes: Mapping[str, Grid]) -> Callable[[Write], Write]:
    """Turn a function of folder, count, grid, seed and options by name into a writer.

    The writer takes

    - `folder`, made if missing;
    - `count`: number of patients, or of scans;
    - `size`: a name in `sizes`;
    - `seed`: a patient depends on it and the own number only, so that the same seed gives the same bytes;
    - `fault`: a name in `faults.FAULTS`, applied to the first image;
    - the options of the function,

    and returns one truth per image.
    """

    def decorate(write: Write) -> Write:
        def writer(folder: Path, count: int = 4, *, size: str = "small", seed: int = 0,
                   fault: str | None = None, **options: object) -> list[Truth]:  # fmt: skip
            if size not in sizes:
                raise DatasetError(f"{dataset} phantom: size {size!r}; allowed: {', '.join(sizes)}")
            truths = write(folder, count, sizes[size], seed, **options)
            return inject(fault, truths) if fault else truths

        writer.__doc__ = write.__doc__
        return writer

    return decorate
