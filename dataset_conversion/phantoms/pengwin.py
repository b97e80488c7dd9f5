"""Synthetic patients as PENGWIN ships them: .mha files in parts, one value per fragment."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dataset_conversion.phantoms.faults import inject
from dataset_conversion.phantoms.pelvis_ct import Paths, write_volumes
from dataset_conversion.phantoms.sij_anatomy import LEFT, RIGHT, SACRUM
from dataset_conversion.phantoms.sij_ct import SIZES
from dataset_conversion.phantoms.sizes import size_of
from dataset_conversion.phantoms.truth import Truth

_BREAK = -665.0  # LPS mm, height of the fracture


def write_patients(folder: Path, count: int = 4, *, size: str = "small", seed: int = 0,
                   fault: str | None = None) -> list[Truth]:  # fmt: skip
    """Write patients; the same seed gives the same bytes.

    Labels: 1 sacrum; 11 and 12 the left, 21 and 22 the right hip below and above a fracture.

    Args:
        folder: made if missing.
        count: number of patients; odd ones are in part 1, even ones in part 2.
        size: a name in `SIZES`.
        seed: a patient depends on the seed and its own number only.
        fault: a name in `faults.FAULTS`, applied to the first patient.

    Returns:
        One truth per image.
    """
    grid = size_of(SIZES, size, "pengwin")

    def paths(number: int) -> Paths:
        part = folder / f"PENGWIN_CT_train_images_part{2 - number % 2}"
        file = f"{number:03d}.mha"
        labels = folder / "PENGWIN_CT_train_labels" / file
        return Paths(f"pengwin_{number:03d}", str(number), part / file, labels)

    truths = write_volumes(count, grid.shape, grid.spacing, seed, paths, _numbered, "LPS")
    return inject(fault, truths) if fault else truths


def _numbered(labels: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Number the bones and their fragments as PENGWIN does."""
    table = np.zeros(4, np.uint8)
    table[[SACRUM, LEFT, RIGHT]] = 1, 11, 21
    found: np.ndarray = table[labels] + ((labels != SACRUM) & (labels > 0) & (heights > _BREAK))
    return found
