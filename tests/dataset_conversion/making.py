"""Small volumes and patients for the tests; plain functions, imported by the test files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk

from dataset_conversion.io.geometry import place
from dataset_conversion.phantoms.dicom import write_series

# Irregular on purpose: different spacings, no corner at zero.
AFFINE = np.array([[0.8, 0, 0, -31.0], [0, 0.9, 0, -20.0], [0, 0, 2.5, -700.0], [0, 0, 0, 1.0]])
SHAPE = (6, 12, 14)  # z, y, x
SMALL = {"shape": (20, 64, 64), "spacing": (5.92, 5.92, 5.0)}  # a phantom in a tenth of a second


def ct(seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1000, 1500, shape).astype(np.int16)


def labels(shape: tuple[int, int, int] = SHAPE, values: tuple[int, ...] = (1, 2)) -> np.ndarray:
    array = np.zeros(shape, np.uint8)
    for index, value in enumerate(values):
        array[2:5, 2 + 3 * index : 4 + 3 * index, 3:11] = value
    return array


def image(array: np.ndarray, affine: np.ndarray = AFFINE) -> sitk.Image:
    return place(array, affine)


def nifti(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE, **header: object) -> Path:
    """Write an array (z, y, x) with an LPS affine through nibabel, header fields as given."""
    made = nib.Nifti1Image(array.T, np.diag([-1.0, -1, 1, 1]) @ affine)
    for key, value in header.items():
        made.header[key] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(made, path)
    return path


def patient(folder: Path, seed: int = 0, *, mask: np.ndarray | None = None) -> Path:
    """Write a NIfTI patient with a mask of labels 1 and 2."""
    nifti(folder / "ct.nii.gz", ct(seed))
    nifti(folder / "mask.nii.gz", labels() if mask is None else mask)
    return folder


def series(folder: Path, seed: int = 0, *, key: str = "t", **how: object) -> list[Path]:
    return write_series(folder, ct(seed), AFFINE, key=key, **how)  # type: ignore[arg-type]


def label_file(path: Path, **names: object) -> Path:
    path.write_text(json.dumps(names or {"sacrum": 1, "left ilium": 2}), encoding="utf-8")
    return path


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def slicer(path: Path, array: np.ndarray, segments: list) -> Path:  # type: ignore[type-arg]
    """Write a .seg.nrrd: array (z, y, x) or (z, y, x, layer), segments (name, layer, value)."""
    fields = []
    for i, (name, layer, value) in enumerate(segments):
        fields.append(f"Segment{i}_ID:=Segment_{i + 1}\nSegment{i}_Name:={name}")
        if layer is not None:
            fields.append(f"Segment{i}_Layer:={layer}\nSegment{i}_LabelValue:={value}")
    layers = array.shape[3] if array.ndim == 4 else None
    z, y, x = array.shape[:3]
    steps = " ".join(f"({','.join(str(v) for v in AFFINE[:3, i])})" for i in range(3))
    head = [
        "NRRD0004",
        "type: unsigned char",
        f"dimension: {4 if layers else 3}",
        "space: left-posterior-superior",
        f"sizes: {f'{layers} ' if layers else ''}{x} {y} {z}",
        f"space directions: {'none ' if layers else ''}{steps}",
        f"kinds: {'list ' if layers else ''}domain domain domain",
        "encoding: gzip",
        f"space origin: ({','.join(str(v) for v in AFFINE[:3, 3])})",
        *fields,
    ]
    body = gzip.compress(np.ascontiguousarray(array, np.uint8).tobytes())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(("\n".join(head) + "\n\n").encode() + body)
    return path
