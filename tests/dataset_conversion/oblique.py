"""Stacks of thick oblique slices through a phantom's anatomy, as MRI of the sacroiliac joints has them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.io.geometry import place
from dataset_conversion.phantoms.sij_ct import write_patients
from dataset_conversion.phantoms.truth import Truth
from tests.dataset_conversion.world import points

#: Columns: directions (LPS) of a slice's rows and columns, and of the stack.
PLANES = {
    "axial": np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1.0]]).T,
    "coronal": np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0.0]]).T,
    "sagittal": np.array([[0, 1, 0], [0, 0, -1], [-1, 0, 0.0]]).T,
}
SPACING = (6.5, 6.5, 33.0)
SIZE = (50, 44, 7)  # x, y, z


def oblique(plane: str, angles: tuple[float, float, float] = (0.4, -0.1, 0.15)) -> np.ndarray:
    """A 4 x 4 affine of a stack about the origin, turned by angles (radians) about x, y, z."""
    turned = np.reshape(sitk.Euler3DTransform((0, 0, 0), *angles).GetMatrix(), (3, 3))
    matrix = np.eye(4)
    matrix[:3, :3] = turned @ PLANES[plane] * SPACING
    matrix[:3, 3] = -matrix[:3, :3] @ ((np.array(SIZE) - 1) / 2)
    return matrix


def write_stacks(folder: Path, planes: list[str], codes: tuple[str, str] = ("", "")) -> list[Truth]:
    """Write one patient for each plane with `image.nii.gz` and `mask.nii.gz`, and `labels.json`.

    Args:
        folder: made if missing.
        planes: names in `PLANES`.
        codes: orientations in which image and mask are stored; "" keeps the stack's own.
    """
    made = write_patients(
        folder / "unused", len(planes), shape=(20, 64, 64), spacing=(5.92, 5.92, 5.0)
    )
    (folder / "unused" / "labels.json").rename(folder / "labels.json")
    truths = []
    for number, (truth, plane) in enumerate(zip(made, planes, strict=True)):
        patient = folder / "src" / f"{truth.name}_{plane}"
        patient.mkdir(parents=True)
        matrix = oblique(plane)
        matrix[:3, 3] += (3.0 + number, -7.0, -650.0)  # the phantom's middle
        known = partial(_quiet, truth.labels)
        where = points(SIZE, matrix)
        labels = known(where).astype(np.uint8)
        grey = np.rint(where @ (1.0, 0.5, 0.25)).astype(np.int16)
        paths = [patient / f"{name}.nii.gz" for name in ("image", "mask")]
        for path, values, code in zip(paths, (grey, labels), codes, strict=True):
            volume = place(values.T, matrix)
            sitk.WriteImage(sitk.DICOMOrient(volume, code) if code else volume, str(path), True)
        truths.append(Truth(patient.name, patient.name, *paths, known))
    return truths


def _quiet(labels: Callable[[np.ndarray], np.ndarray], where: np.ndarray) -> np.ndarray:
    """Labels at points of which some are outside the phantom's field of view."""
    with np.errstate(invalid="ignore"):
        return labels(where)
