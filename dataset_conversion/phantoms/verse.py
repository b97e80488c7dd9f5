"""Synthetic patients as VerSe ships them: CT of the lower spine in either of the two layouts."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import place
from dataset_conversion.phantoms.spine_anatomy import (
    AIR,
    ARCH,
    CANAL,
    DISC,
    FAT,
    MUSCLE,
    SACRUM,
    VESSEL,
    Spine,
    parts_on,
)
from dataset_conversion.phantoms.texture import clouds
from dataset_conversion.phantoms.truth import Truth, seen
from dataset_conversion.phantoms.writer import Grid, phantom

SIZES = {  # along the body's axes
    "small": Grid((84, 56, 20), (4.0, 3.0, 3.0)),
    "demo": Grid((126, 84, 30), (2.7, 2.0, 2.0)),
    "full": Grid((400, 240, 60), (2.0, 0.6, 0.6)),
}
LAYOUTS = ("subjects", "miccai")
LEVELS = 8
# The levels from the lowest one upwards: usual, with L6, with T13.
_NUMBERS = (
    (24, 23, 22, 21, 20, 19, 18, 17),
    (25, 24, 23, 22, 21, 20, 19, 18),
    (24, 23, 22, 21, 20, 28, 19, 18),
)
# Subset, patient, rest of the name, scan in the MICCAI layout, orientation.
_SCANS = (
    ("01training", "sub-verse401", "_split-verse010", "verse010", "PIR"),
    ("01training", "sub-verse401", "_split-verse253", "verse253", "LPS"),
    ("02validation", "sub-gl003", "_dir-ax", "GL003_CT-ax", "RAS"),
    ("03test", "sub-verse500", "_dir-sag", "verse500_CT-sag", "PIR"),
)
_HU = {AIR: -1000, MUSCLE: 45, FAT: -95, VESSEL: 140, CANAL: 25}
_NOISE = 20.0


@phantom("verse", SIZES)
def write_patients(folder: Path, count: int, grid: Grid, seed: int, *,
                   layout: str = "subjects") -> list[Truth]:  # fmt: skip
    """Write scans in a layout: "subjects" (rawdata/ and derivatives/) or "miccai" (flat).

    Of every four scans, the first two are of one patient, the third is in the validation and the
    fourth in the test subset. The second of three has an L6, the third a T13. Labels: see
    `dataset_conversion.datasets.verse`.
    """
    if layout not in LAYOUTS:
        raise DatasetError(f"verse phantom: layout {layout!r}; allowed: {', '.join(LAYOUTS)}")
    truths = []
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        spine = Spine.random(rng, levels=LEVELS, tall=grid.shape[0] * grid.spacing[2])
        shift = np.round(rng.uniform(-12, 12, 3), 2)
        table = _table(_NUMBERS[number % len(_NUMBERS)])
        name, patient, image, mask = _paths(folder, number, layout)
        orientation = _SCANS[number % len(_SCANS)][4]
        box = _write(spine, grid, shift, table, orientation, rng, image, mask)
        known = partial(seen, partial(_labels_at, spine, shift, table), *box)
        truths.append(Truth(name, patient, image, mask, known))
    return truths


def _paths(folder: Path, number: int, layout: str) -> tuple[str, str, Path, Path]:
    """Return case id, patient, and the paths of image and mask."""
    subset, patient, rest, flat, _ = _SCANS[number % len(_SCANS)]
    again = number // len(_SCANS)  # later patients get higher numbers
    if again:
        patient, flat = (f"sub-verse{600 + 4 * again + number % 4}",) * 2
        flat = flat.removeprefix("sub-")
    if layout == "miccai":
        place_ = folder / subset.lstrip("0123456789")
        return flat, flat, place_ / f"{flat}.nii.gz", place_ / f"{flat}_seg.nii.gz"
    name, top = f"{patient}{rest}", folder / f"dataset-{subset}"
    image = top / "rawdata" / patient / f"{name}_ct.nii.gz"
    return name, patient, image, top / "derivatives" / patient / f"{name}_seg-vert_msk.nii.gz"


def _table(numbers: tuple[int, ...]) -> np.ndarray:
    """Return code of a tissue -> label: a vertebra is its body and its arch."""
    table = np.zeros(512, np.uint8)
    for level, value in enumerate(numbers, 1):
        table[[level, ARCH + level]] = value
    return table


def _labels_at(spine: Spine, shift: np.ndarray, table: np.ndarray,
               points: np.ndarray) -> np.ndarray:  # fmt: skip
    """Return VerSe's label values at world points (..., 3), LPS mm."""
    found: np.ndarray = table[np.clip(spine.at(np.asarray(points, np.float64) - shift), 0, None)]
    return found


def _write(spine: Spine, grid: Grid, shift: np.ndarray, table: np.ndarray, orientation: str,
           rng: np.random.Generator, image: Path, mask: Path) -> np.ndarray:  # fmt: skip
    """Write image, mask and centroids; return the box of the field of view (LPS mm)."""
    axes = grid.axes()
    parts = parts_on(spine, axes)
    labels = table[np.clip(parts, 0, None)]
    affine, box = grid.placed(axes, shift)
    for path in (image, mask):
        path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.DICOMOrient(place(_hu(parts, rng), affine), orientation), str(image), True)
    stored = sitk.DICOMOrient(place(labels, affine), orientation)
    sitk.WriteImage(stored, str(mask), True)
    name = mask.name.replace("seg-vert_msk.nii.gz", "seg-subreg_ctd.json")
    name = name.replace("_seg.nii.gz", "_iso-ctd.json")
    mask.with_name(name).write_text(json.dumps(_centroids(stored, orientation)), encoding="utf-8")
    return box


def _hu(parts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return HU (int16) of tissues."""
    values = np.zeros(parts.shape, np.float32)
    for code, hu in _HU.items():
        values[parts == code] = hu
    values[(parts > 0) & (parts <= SACRUM)] = 230
    values[parts > ARCH] = 420
    values[(parts > DISC) & (parts < ARCH)] = 80
    values += 25 * clouds(parts.shape, rng) * (values > -200)
    values += _NOISE * rng.standard_normal(parts.shape, dtype=np.float32)
    return np.rint(np.clip(values, -1024, 3071)).astype(np.int16)


def _centroids(mask: sitk.Image, orientation: str) -> list[dict[str, object]]:
    """Return VerSe's list: the directions of the axes, then each label's centre in voxels."""
    array = sitk.GetArrayViewFromImage(mask)
    found: list[dict[str, object]] = [{"direction": list(orientation)}]
    for value in np.unique(array)[1:]:
        z, y, x = (round(float(axis.mean()), 1) for axis in np.nonzero(array == value))
        found.append({"label": int(value), "X": x, "Y": y, "Z": z})
    return found
