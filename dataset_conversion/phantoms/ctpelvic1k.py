"""Synthetic patients as CTPelvic1K ships them: images and masks of sub-datasets 6, 7 and 2.

Masks of sub-dataset 7 lack its prefix. Sub-dataset 2 has two series of each patient.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dataset_conversion.phantoms.pelvis_ct import Paths, write_volumes
from dataset_conversion.phantoms.sij_anatomy import LEFT, RIGHT, SACRUM
from dataset_conversion.phantoms.sij_ct import SIZES
from dataset_conversion.phantoms.truth import Truth
from dataset_conversion.phantoms.writer import Grid, phantom

_LUMBAR = -640.0  # LPS mm; above it, the bone in the middle is taken for the lumbar spine
_UID = "1.3.6.1.4.1.9328.50.4"


@phantom("ctpelvic1k", SIZES)
def write_patients(folder: Path, count: int, grid: Grid, seed: int) -> list[Truth]:
    """Write scans; of every four, the last two are series of one patient.

    Labels: 1 sacrum, 2 right hip, 3 left hip, 4 lumbar spine.
    """

    def paths(number: int) -> Paths:
        part, scan, patient = _scan(number)
        name = f"dataset{part}_{scan}"
        masks = {6: "dataset6_Anonymized_mask/ipcai2021_dataset6_Anonymized", 7: "dataset7_mask"}
        below = masks.get(part, f"dataset{part}_mask_mappingback")
        return Paths(
            name.replace(".", "_"),
            f"dataset{part}_{patient}".replace(".", "_"),
            folder / f"CTPelvic1K_dataset{part}_data" / f"{name}_data.nii.gz",
            folder / f"CTPelvic1K_{below}" / f"{scan if part == 7 else name}_mask_4label.nii.gz",
        )

    return write_volumes(count, grid, seed, paths, _numbered)


def _scan(number: int) -> tuple[int, str, str]:
    """Return sub-dataset, scan and patient."""
    if number % 4 == 1:
        return 6, f"CLINIC_{number:04d}", f"CLINIC_{number:04d}"
    if number % 4 == 2:
        return 7, f"CLINIC_metal_{number:04d}", f"CLINIC_metal_{number:04d}"
    uid = f"{_UID}.{(number + 1) // 4:04d}"
    return 2, f"{uid}_{number}_20", uid


def _numbered(labels: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Number the bones as CTPelvic1K does."""
    table = np.zeros(4, np.uint8)
    table[[SACRUM, RIGHT, LEFT]] = 1, 2, 3
    found: np.ndarray = np.where((labels == SACRUM) & (heights > _LUMBAR), 4, table[labels])
    return found
