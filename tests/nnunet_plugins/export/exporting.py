"""Label maps and series for the tests of export, with geometry with different axes."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk

from dataset_conversion.io.geometry import oriented, place
from dataset_conversion.phantoms.dicom import CT, write_series

SPACING = np.array([0.8, 1.1, 2.5])
LABELS = {"background": 0, "sacrum": 1, "left ilium": 2, "right ilium": 3, "coccyx": 4}


def turn(code: str, degrees: float = 0.0) -> np.ndarray:
    """Directions of x, y, z for a code such as LPS, rotated about the body's axis."""
    ways = {
        "L": (1, 0, 0),
        "R": (-1, 0, 0),
        "P": (0, 1, 0),
        "A": (0, -1, 0),
        "S": (0, 0, 1),
        "I": (0, 0, -1),
    }
    a = np.radians(degrees)
    about = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    return about @ np.array([ways[letter] for letter in code], float).T


def grid(code: str, degrees: float = 0.0) -> np.ndarray:
    """4 x 4 affine (LPS mm) of a series with these axes; the coordinates of its corner are not integers."""
    matrix = np.eye(4)
    matrix[:3, :3] = turn(code, degrees) * SPACING
    matrix[:3, 3] = (-31.7, 12.3, -700.9)
    return matrix


def blocks(shape: tuple[int, int, int] = (9, 14, 12)) -> np.ndarray:
    """Three different blocks (z, y, x); the third touches the border, value 4 does not occur."""
    array = np.zeros(shape, np.uint8)
    array[1:4, 2:9, 3:5] = 1
    array[3:8, 1:4, 7:11] = 2
    array[-2:, -4:, :2] = 3
    return array


def write_labels(
    folder: Path, name: str, image: sitk.Image, labels: dict | None = None, **more: object
) -> Path:
    """Write a label map as nnU-Net's prediction, with dataset.json next to it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps({"labels": labels or LABELS, **more}))
    path = folder / f"{name}.nii.gz"
    sitk.WriteImage(image, str(path))
    return path


def patient(
    folder: Path, code: str = "LPS", degrees: float = 0.0, **how: object
) -> tuple[Path, Path, np.ndarray]:
    """A series and its label map in LPS; returns the series' folder, the label map, the array on the slices."""
    array, matrix = blocks(), grid(code, degrees)
    values = np.random.default_rng(1).integers(-900, 900, array.shape)
    scanner = how.pop("scanner", CT)
    write_series(folder / "series", values, matrix, key="export", scanner=scanner, **how)
    path = write_labels(folder / "predictions", "case1", oriented(place(array, matrix)))
    return folder / "series", path, array


def world_points(path: Path) -> dict[int, set[tuple[float, ...]]]:
    """Positions of each label's voxels (LPS mm, to 0.01), read with nibabel alone."""
    image = nib.load(path)
    matrix = np.diag([-1.0, -1, 1, 1]) @ image.affine
    values = np.asarray(image.dataobj)
    return {
        int(v): rounded(np.argwhere(values == v) @ matrix[:3, :3].T + matrix[:3, 3])
        for v in np.unique(values)
        if v
    }


def rounded(points: np.ndarray) -> set[tuple[float, ...]]:
    return {tuple(point) for point in (np.round(points * 50) / 50 + 0.0).tolist()}


def near(mine: set[tuple[float, ...]], theirs: set[tuple[float, ...]]) -> bool:
    """Whether two sets of points are equal within 0.03 mm."""
    if len(mine) != len(theirs):
        return False
    from scipy.spatial import KDTree

    distance, _ = KDTree(list(theirs)).query(list(mine))
    return bool(distance.max() < 0.03)
