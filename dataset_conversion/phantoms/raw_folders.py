"""Synthetic patients as a dataset of nnU-Net's raw format, and as a task of the Decathlon."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dataset_conversion.phantoms.pelvis_ct import Paths, write_volumes
from dataset_conversion.phantoms.sij_ct import LABELS, SIZES
from dataset_conversion.phantoms.truth import Truth
from dataset_conversion.phantoms.writer import Grid, phantom


@phantom("raw", SIZES)
def write_raw(folder: Path, count: int, grid: Grid, seed: int) -> list[Truth]:
    """Write `imagesTr/pelvis_001_0000.nii.gz`, `labelsTr/pelvis_001.nii.gz`, ... and dataset.json."""
    entry = {
        "channel_names": {"0": "CT"},
        "labels": LABELS,
        "numTraining": count,
        "file_ending": ".nii.gz",
    }
    return _write(folder, count, grid, seed, entry, "_0000")


@phantom("raw", SIZES)
def write_decathlon(folder: Path, count: int, grid: Grid, seed: int) -> list[Truth]:
    """Write `imagesTr/pelvis_001.nii.gz`, `labelsTr/pelvis_001.nii.gz`, ... and dataset.json.

    A Mac's `._` file is next to each image.
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
    truths = _write(folder, count, grid, seed, entry, "")
    for truth in truths:
        truth.image.with_name(f"._{truth.image.name}").write_bytes(b"Mac OS X")
    return truths


def _write(folder: Path, count: int, grid: Grid, seed: int, entry: Mapping[str, Any],
           channel: str) -> list[Truth]:  # fmt: skip
    def paths(number: int) -> Paths:
        name = f"pelvis_{number:03d}"
        return Paths(
            name,
            name,
            folder / "imagesTr" / f"{name}{channel}.nii.gz",
            folder / "labelsTr" / f"{name}.nii.gz",
        )

    truths = write_volumes(count, grid, seed, paths, lambda labels, _: labels)
    (folder / "dataset.json").write_text(json.dumps(entry, indent=2) + "\n", encoding="utf-8")
    return truths
