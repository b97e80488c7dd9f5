"""Synthetic pelvic CT, and its files in the layouts of datasets of volumes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.io.geometry import place
from dataset_conversion.phantoms.sij_anatomy import FIELD, Person, labels_at, scan
from dataset_conversion.phantoms.truth import Truth, seen
from dataset_conversion.phantoms.writer import Grid

#: Labels of `sij_anatomy` and heights (LPS mm) -> labels of a dataset.
Renumber = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Pelvis:
    """One patient: HU and labels (z, y, x), affine to LPS mm, and the labels at world points."""

    hu: np.ndarray
    labels: np.ndarray
    affine: np.ndarray
    known: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Paths:
    """Case id, patient and files of one image."""

    name: str
    patient: str
    image: Path
    mask: Path


def pelvis(grid: Grid, seed: int, number: int) -> Pelvis:
    """Draw a patient; it depends on the seed and its own number only."""
    shape, spacing = grid.shape, grid.spacing
    rng = np.random.default_rng((seed, number))
    person = Person.random(np.random.default_rng((seed, number)))  # the same that `scan` draws
    hu, labels = scan(shape, spacing, rng)
    affine = np.diag([*spacing, 1.0])
    extent = (np.array(shape[::-1]) - 1) * np.array(spacing)
    affine[:3, 3] = np.round([-extent[0] / 2, -extent[1] / 2, -700 - 10 * rng.random()], 3)
    low = affine[:3, 3] - 0.5 * np.array(spacing)
    high = low + np.array(shape[::-1]) * np.array(spacing)
    known = partial(seen, partial(_at, person, low, high), low, high)
    return Pelvis(hu, labels, affine, known)


def write_volumes(count: int, grid: Grid, seed: int, paths: Callable[[int], Paths],
                  renumber: Renumber, orientation: str = "RAS") -> list[Truth]:  # fmt: skip
    """Write an image and a mask per patient, both stored in an orientation.

    Args:
        count: number of patients, numbered from 1.
        grid: of all images.
        seed: see `pelvis`.
        paths: number -> names and files.
        renumber: see `Renumber`.
        orientation: ITK's code.

    Returns:
        One truth per image.
    """
    truths = []
    for number in range(1, count + 1):
        one, files = pelvis(grid, seed, number), paths(number)
        heights = one.affine[2, 3] + grid.spacing[2] * np.arange(grid.shape[0])
        labels = renumber(one.labels, heights[:, None, None]).astype(np.uint8)
        for array, path in ((one.hu, files.image), (labels, files.mask)):
            path.parent.mkdir(parents=True, exist_ok=True)
            stored = sitk.DICOMOrient(place(array, one.affine), orientation)
            sitk.WriteImage(stored, str(path), True)
        known = partial(_renumbered, renumber, one.known)
        truths.append(Truth(files.name, files.patient, files.image, files.mask, known))
    return truths


def _renumbered(renumber: Renumber, known: Callable[[np.ndarray], np.ndarray],
                points: np.ndarray) -> np.ndarray:  # fmt: skip
    return renumber(known(points), points[..., 2])


def _at(person: Person, low: np.ndarray, high: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the labels at world points (..., 3) of a scan with these outermost corners."""
    scale = FIELD / (high[0] - low[0])
    own = (np.asarray(points, np.float64) - 0.5 * (low + high)) * scale
    height = (points[..., 2] - low[2]) / (high[2] - low[2])
    return labels_at(person, own[..., 0], own[..., 1], height)
