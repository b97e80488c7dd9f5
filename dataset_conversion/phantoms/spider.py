"""Synthetic patients as SPIDER ships them: images/ and masks/ of .mha files, and two tables.

T1 and T2 are stored in LPS with a border of -1000, SPACE in PIR without one.
"""

from __future__ import annotations

import csv
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from dataset_conversion.io.geometry import place
from dataset_conversion.phantoms.spine_anatomy import ARCH, CANAL, T1, T2, Spine, scan
from dataset_conversion.phantoms.truth import Truth, seen
from dataset_conversion.phantoms.writer import Grid, phantom

SIZES = {
    "small": Grid((84, 56, 9), (7.6, 3.0, 3.0)),
    "demo": Grid((126, 84, 13), (5.2, 2.0, 2.0)),
    "full": Grid((420, 280, 17), (4.0, 0.6, 0.6)),
}
LEVELS = 8
PADDING = -1000
_SPACE_MM = 0.9
_SERIES = (("t1", "t2"), ("t1", "t2", "t2_SPACE"), ("t2",), ("t1", "t2"))
_OVERVIEW = ("new_file_name", "subset", "num_vertebrae", "num_discs", "sex", "birth_date")
_SCANNER = (  # the DICOM fields that fill the real table's 39 columns
    "AngioFlag", "BodyPartExamined", "DeviceSerialNumber", "EchoNumbers", "EchoTime",
    "EchoTrainLength", "FlipAngle", "HighBit", "ImagedNucleus", "ImagingFrequency",
    "InPlanePhaseEncodingDirection", "MRAcquisitionType", "MagneticFieldStrength",
    "Manufacturer", "ManufacturerModelName", "NumberOfAverages", "NumberOfPhaseEncodingSteps",
    "PatientPosition", "PercentPhaseFieldOfView", "PercentSampling", "PixelBandwidth",
    "PixelSpacing", "ReceiveCoilName", "RepetitionTime", "SAR", "SamplesPerPixel",
    "ScanningSequence", "SequenceName", "SequenceVariant", "SliceThickness", "SoftwareVersions",
    "SpacingBetweenSlices", "StudyDescription",
)  # fmt: skip
_GRADINGS = ("Patient", "IVD label", "Modic", "UP endplate", "LOW endplate", "Spondylolisthesis",
             "Disc herniation", "Disc narrowing", "Disc bulging", "Pfirrman grade")  # fmt: skip


@phantom("spider", SIZES)
def write_patients(folder: Path, count: int, grid: Grid, seed: int, *,
                   nested: bool = False) -> list[Truth]:  # fmt: skip
    """Write patients with `overview.csv` and `radiological_gradings.csv`.

    Patients have one to three series; their numbers have gaps; the last of every four belongs to
    SPIDER's validation subset. T1 and T2 of one patient share a grid, except in patients with a SPACE
    series, which is isotropic: 0.9 mm in full size, otherwise the in-plane spacing. Labels: 1-8
    vertebrae from the lowest, 100 canal, 201-208 discs. With `nested`, the folders are
    `images/images` and `masks/masks`, as the archives unpack.
    """
    images, masks = (folder / n / n if nested else folder / n for n in ("images", "masks"))
    for made in (images, masks):
        made.mkdir(parents=True, exist_ok=True)
    truths, overview, gradings = [], [], []
    for place_ in range(count):
        number = place_ + 1 + place_ // 2
        rng = np.random.default_rng((seed, place_))
        spine = Spine.random(rng, levels=LEVELS, tall=grid.shape[0] * grid.spacing[2])
        shift = np.round(rng.uniform(-12, 12, 3), 2)
        sex = "F " if place_ == 0 else "FM"[place_ % 2]
        for kind in _SERIES[place_ % len(_SERIES)]:
            name = f"{number}_{kind}"
            moved = kind == "t2" and len(_SERIES[place_ % len(_SERIES)]) == 3
            image, mask, box = _series(spine, kind, grid, shift, moved, rng)
            paths = images / f"{name}.mha", masks / f"{name}.mha"
            sitk.WriteImage(image, str(paths[0]), True)
            sitk.WriteImage(mask, str(paths[1]), True)
            known = partial(seen, partial(labels_at, spine, shift), *box)
            truths.append(Truth(name, str(number), *paths, known))
            subset = "validation" if place_ % 4 == 3 else "training"
            row = [name, subset, LEVELS, LEVELS, sex, 1950 + place_]
            overview.append([*row, *[""] * len(_SCANNER)])
        for disc in range(LEVELS):
            grade = 1 + round(4 * spine.wear[disc])
            gradings.append(
                [number, disc + 1, 0, 0, 0, 0, 0, int(grade > 3), int(grade > 4), grade]
            )
    _write_table(folder / "overview.csv", (*_OVERVIEW, *_SCANNER), overview)
    _write_table(folder / "radiological_gradings.csv", _GRADINGS, gradings)
    return truths


def labels_at(spine: Spine, shift: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return SPIDER's label values at world points (..., 3), LPS mm."""
    return _numbered(spine.at(np.asarray(points, np.float64) - shift))


def _numbered(parts: np.ndarray) -> np.ndarray:
    """Number the parts as SPIDER does; the sacrum is not labelled, arches belong to the bodies."""
    labels = np.where(parts > ARCH, parts - ARCH, np.clip(parts, 0, None)).astype(np.int16)
    labels[(labels > LEVELS) & (labels < CANAL)] = 0
    return labels


def _series(spine: Spine, kind: str, grid: Grid, shift: np.ndarray, moved: bool,
            rng: np.random.Generator) -> tuple[sitk.Image, sitk.Image, np.ndarray]:  # fmt: skip
    """Return image (int16) and mask of one series, as stored, and the box inside the padding."""
    space = kind == "t2_SPACE"
    if space:
        step = max(_SPACE_MM, grid.spacing[1])
        wide = [round(n * s / step) for n, s in zip(grid.shape[::-1], grid.spacing, strict=True)]
        grid = Grid((wide[2], wide[1], wide[0]), (step, step, step))
    off = 0.37 if moved else 0.0  # voxels
    axes = [axis + off * mm for axis, mm in zip(grid.axes(), grid.spacing, strict=True)]
    bright, parts = scan(spine, axes, T1 if kind == "t1" else T2, rng)
    array = np.clip(np.rint(bright), 0, 3096).astype(np.int16)
    labels = _numbered(parts)
    edges = [0, 0, 0] if space else [0, _edge(grid.shape[1], 0.07), _edge(grid.shape[0], 0.02)]
    border = np.ones(array.shape, bool)
    border[tuple(slice(e, n - e) for e, n in zip(edges[::-1], array.shape, strict=True))] = False
    array[border] = PADDING
    labels[border] = 0
    affine, box = grid.placed(axes, shift, [(edge, -1 - edge) for edge in edges])
    image, mask = place(array, affine), place(labels, affine)
    if space:
        image, mask = sitk.DICOMOrient(image, "PIR"), sitk.DICOMOrient(mask, "PIR")
    return image, mask, box


def _edge(count: int, share: float) -> int:
    """Return the voxels of padding on either side, at least one."""
    return max(1, round(share * count))


def _write_table(path: Path, head: tuple[str, ...], rows: list[list[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(head)
        writer.writerows(rows)
