"""Comparisons of a converted dataset with the phantoms it was made from."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from dataset_conversion.phantoms.truth import Truth
from tests.dataset_conversion.making import tree
from tests.dataset_conversion.world import check_labels, check_values, count, orientation


def pair(folder: Path, case: str) -> tuple[Path, Path]:
    """Mask and first channel of a training case."""
    return folder / "labelsTr" / f"{case}.nii.gz", folder / "imagesTr" / f"{case}_0000.nii.gz"


def check_case(folder: Path, truth: Truth, table: Mapping[int, int], case: str = "",
               meant: Callable[[np.ndarray], np.ndarray] | None = None) -> int:  # fmt: skip
    """Assert that a case has the phantom's labels and values in LPS; return its labelled voxels."""
    mask, image = pair(folder, case or truth.name)
    voxels = check_labels(mask, truth.labels, table)
    assert voxels == count(truth.mask)
    check_values(image, truth.image, meant)
    assert orientation(mask) == orientation(image) == "LPS"
    return voxels


def dataset_json(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "dataset.json").read_text())


def folds(folder: Path) -> list[dict[str, list[str]]]:
    return json.loads((folder / "splits_final.json").read_text())


def assert_absent(secrets: tuple[bytes, ...], folder: Path) -> None:
    """Assert that no file name and no (unpacked) content holds any of the secrets."""
    for name, content in tree(folder).items():
        unpacked = gzip.decompress(content) if name.endswith(".gz") else content
        for secret in secrets:
            assert secret not in unpacked, name
            assert secret.decode() not in name


def change(path: Path, edit: Callable[[np.ndarray], np.ndarray]) -> None:
    """Edit the array (z, y, x) of a stored volume and keep its geometry."""
    image = sitk.ReadImage(str(path))
    made = sitk.GetImageFromArray(edit(sitk.GetArrayFromImage(image)))
    made.CopyInformation(image)
    sitk.WriteImage(made, str(path))
