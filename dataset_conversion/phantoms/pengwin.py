"""Synthetic patients as PENGWIN ships them: .mha files in parts, one value per fragment."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dataset_conversion.phantoms.pelvis_ct import Paths, write_volumes
from dataset_conversion.phantoms.sij_anatomy import LEFT, RIGHT, SACRUM
from dataset_conversion.phantoms.sij_ct import SIZES
from dataset_conversion.phantoms.truth import Truth
from dataset_conversion.phantoms.writer import Grid, phantom

_BREAK = -665.0  # LPS mm, height of the fracture


@phantom("pengwin", SIZES)
def write_patients(folder: Path, count: int, grid: Grid, seed: int) -> list[Truth]:
    """Write patients, odd ones in part 1, even ones in part 2.

    Labels: 1 sacrum; 11 and 12 the left, 21 and 22 the right hip below and above a fracture.
    """

    def paths(number: int) -> Paths:
        part = folder / f"PENGWIN_CT_train_images_part{2 - number % 2}"
        file = f"{number:03d}.mha"
        labels = folder / "PENGWIN_CT_train_labels" / file
        return Paths(f"pengwin_{number:03d}", str(number), part / file, labels)

    return write_volumes(count, grid, seed, paths, _numbered, "LPS")


def _numbered(labels: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Number the bones and their fragments as PENGWIN does."""
    table = np.zeros(4, np.uint8)
    table[[SACRUM, LEFT, RIGHT]] = 1, 11, 21
    found: np.ndarray = table[labels] + ((labels != SACRUM) & (labels > 0) & (heights > _BREAK))
    return found
