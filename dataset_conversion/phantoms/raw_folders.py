"""Synthetic patients as a dataset of nnU-Net's raw format, and as a task of the Decathlon."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dataset_conversion.phantoms.faults import inject
from dataset_conversion.phantoms.pelvis_ct import Paths, write_volumes
from dataset_conversion.phantoms.sij_ct import LABELS, SIZES
from dataset_conversion.phantoms.sizes import size_of
from dataset_conversion.phantoms.truth import Truth


def write_raw(folder: Path, count: int = 4, *, size: str = "small", seed: int = 0,
              fault: str | None = None) -> list[Truth]:  # fmt: skip
    """Write `imagesTr/pelvis_001_0000.nii.gz`, `labelsTr/pelvis_001.nii.gz`, ... and dataset.json.

    Args:
        folder: made if missing.
        count: number of patients.
        size: a name in `sij_ct.SIZES`.
        seed: a patient depends on the seed and its own number only.
        fault: a name in `faults.FAULTS`, applied to the first patient.

    Returns:
        One truth per image.
    """
    entry = {
        "channel_names": {"0": "CT"},
        "labels": LABELS,
        "numTraining": count,
        "file_ending": ".nii.gz",
    }
    return _write(folder, count, size, seed, fault, entry, "_0000")


def write_decathlon(folder: Path, count: int = 4, *, size: str = "small", seed: int = 0,
                    fault: str | None = None) -> list[Truth]:  # fmt: skip
    """Write `imagesTr/pelvis_001.nii.gz`, `labelsTr/pelvis_001.nii.gz`, ... and dataset.json.

    Args and result are those of `write_raw`. A Mac's `._` file is next to each image.
    """
    names = [f"pelvis_{number:03d}.nii.gz" for number in range(1, count + 1)]
    entry = {
        "modality": {"0": "CT"},
        "labels": {str(value): name for name, value in LABELS.items()},
        "numTraining": count,
        "numTest": 0,
        "training": [{"image": f"./imagesTr/{n}", "label": f"./labelsTr/{n}"} for n in names],
        "test": [],
    }
    truths = _write(folder, count, size, seed, fault, entry, "")
    for truth in truths:
        truth.image.with_name(f"._{truth.image.name}").write_bytes(b"Mac OS X")
    return truths


def _write(folder: Path, count: int, size: str, seed: int, fault: str | None,
           entry: Mapping[str, Any], channel: str) -> list[Truth]:  # fmt: skip
    grid = size_of(SIZES, size, "raw")

    def paths(number: int) -> Paths:
        name = f"pelvis_{number:03d}"
        return Paths(
            name,
            name,
            folder / "imagesTr" / f"{name}{channel}.nii.gz",
            folder / "labelsTr" / f"{name}.nii.gz",
        )

    truths = write_volumes(count, grid.shape, grid.spacing, seed, paths, lambda labels, _: labels)
    (folder / "dataset.json").write_text(json.dumps(entry, indent=2) + "\n", encoding="utf-8")
    return inject(fault, truths) if fault else truths
