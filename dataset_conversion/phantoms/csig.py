"""Synthetic patients as CSIG ships them: train/MR/Case<n>.nii.gz, train/Mask/mask_case<n>.nii.gz.

Sagittal T2 in PIR, zero outside the body; some patients show no T9.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.io.geometry import place
from dataset_conversion.phantoms.spine_anatomy import ARCH, DISC, SACRUM, T2, Spine, scan
from dataset_conversion.phantoms.truth import Truth, seen
from dataset_conversion.phantoms.writer import Grid, phantom

SIZES = {  # along the body's axes; stored with slices last
    "small": Grid((110, 110, 8), (6.6, 2.72, 2.72)),
    "demo": Grid((160, 160, 12), (4.4, 1.87, 1.87)),
    "full": Grid((880, 880, 12), (4.4, 0.34, 0.34)),
}
HIGHEST = 2650
_GAIN = 2.4  # brighter than SPIDER's
_BODY = 0.51  # share of the columns that are not zero
_VERTEBRAE, _DISCS = 1, 10  # added to a level's number: L5 is 2, L5/S is 11


@phantom("csig", SIZES)
def write_patients(folder: Path, count: int, usual: Grid, seed: int) -> list[Truth]:
    """Write patients; every third shows nothing above T10, every fourth has a larger matrix.

    Labels: 1 S, 2-10 L5 to T9, 11-19 the discs below them.
    """
    images, masks = folder / "train" / "MR", folder / "train" / "Mask"
    for made in (images, masks):
        made.mkdir(parents=True, exist_ok=True)
    truths = []
    for number in range(1, count + 1):
        rng = np.random.default_rng((seed, number))
        grid = _larger(usual) if number % 4 == 0 else usual
        levels = 8 if number % 3 == 0 else 9
        tall = grid.shape[0] * grid.spacing[2]
        spine = Spine.random(rng, levels=levels, tall=tall)
        shift = np.round(rng.uniform(-12, 12, 3), 2)
        paths = images / f"Case{number}.nii.gz", masks / f"mask_case{number}.nii.gz"
        image, mask, box = _volumes(spine, grid, shift, rng)
        for volume, path in zip((image, mask), paths, strict=True):
            sitk.WriteImage(volume, str(path), True)
        known = partial(seen, partial(labels_at, spine, shift), *box)
        truths.append(Truth(f"Case{number}", str(number), *paths, known))
    return truths


def labels_at(spine: Spine, shift: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return CSIG's label values at world points (..., 3), LPS mm."""
    return _numbered(spine.at(np.asarray(points, np.float64) - shift))


def _numbered(parts: np.ndarray) -> np.ndarray:
    """Number the parts as CSIG does: vertebral bodies without arches, discs, no canal."""
    labels = np.zeros(parts.shape, np.uint8)
    labels[parts == SACRUM] = 1
    body = (parts > 0) & (parts < SACRUM)
    labels[body] = parts[body] + _VERTEBRAE
    disc = (parts > DISC) & (parts < ARCH)
    labels[disc] = parts[disc] - DISC + _DISCS
    return labels


def _larger(grid: Grid) -> Grid:
    """The same field of view in more and smaller voxels (880 -> 1008)."""
    tall, deep, wide = grid.shape
    bigger = round(tall * 1008 / 880)
    factor = tall / bigger
    x, y, z = grid.spacing
    return Grid((bigger, round(deep / factor), wide), (x, y * factor, z * factor))


def _volumes(spine: Spine, grid: Grid, shift: np.ndarray,
             rng: np.random.Generator) -> tuple[sitk.Image, sitk.Image, np.ndarray]:  # fmt: skip
    """Return image (uint16) and mask as stored, and the box that is not zero."""
    axes = grid.axes()
    bright, parts = scan(spine, axes, T2, rng)
    array = np.clip(np.rint(bright * _GAIN), 1, HIGHEST).astype(np.uint16)
    labels = _numbered(parts)
    columns = array.shape[1]
    keep = round(_BODY * columns)
    first = (columns - keep) // 2 + round(0.02 * columns)
    outside = np.ones(columns, bool)
    outside[first : first + keep] = False
    array[:, outside] = 0
    labels[:, outside] = 0
    affine, box = grid.placed(axes, shift, ((0, -1), (first, first + keep - 1), (0, -1)))
    image, mask = (sitk.DICOMOrient(place(a, affine), "PIR") for a in (array, labels))
    return image, mask, box
