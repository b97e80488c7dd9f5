"""Synthetic patients as a hospital exports sacroiliac-joint CT: DICOM series and masks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.errors import DatasetError
from dataset_conversion.geometry import place
from dataset_conversion.phantoms.dicom import write_series
from dataset_conversion.phantoms.sij_anatomy import LEFT, RIGHT, SACRUM, scan

LABELS = {"background": 0, "sacrum": SACRUM, "left ilium": LEFT, "right ilium": RIGHT}
LABELS_FILE = "labels.json"
_MASKS = {"nifti": "mask.nii.gz", "seg.nrrd": "segmentation.seg.nrrd"}
_NAMES = ("Quill^Ada", "Brandt^Ole", "Novak^Iva", "Osei^Kofi", "Tanaka^Rin", "Moreau^Lou")


def write_patients(folder: Path, count: int, *, shape: tuple[int, int, int] = (60, 512, 512),
                   spacing: tuple[float, float, float] = (0.74, 0.74, 1.5), seed: int = 0,
                   with_masks: bool | int = True, masks: str = "nifti") -> list[Path]:  # fmt: skip
    """Write patients and `labels.json` below a folder; the same seed gives the same bytes.

    Each has `ct/` (DICOM, files in reverse order) and a mask: 1 sacrum, 2 left, 3 right ilium.
    The sides are nearly mirror images, so only position tells them apart.

    Args:
        folder: made if missing.
        count: number of patients.
        shape: voxels (z, y, x).
        spacing: mm (x, y, z); the anatomy is scaled to the field of view.
        seed: a patient depends on the seed and its own number only.
        with_masks: all, none, or the first so many.
        masks: "nifti" (ITK-SNAP's) or "seg.nrrd" (3D Slicer's).

    Returns:
        The patients' folders.
    """
    if masks not in _MASKS:
        raise DatasetError(f"phantom masks {masks!r}; allowed: {', '.join(_MASKS)}")
    masked = (count if with_masks else 0) if isinstance(with_masks, bool) else with_masks
    folder.mkdir(parents=True, exist_ok=True)
    patients = []
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        hu, labels = scan(shape, spacing, rng)
        affine = np.diag([*spacing, 1.0])
        extent = (np.array(shape[::-1]) - 1) * np.array(spacing)
        affine[:3, 3] = np.round([-extent[0] / 2, -extent[1] / 2, -700 - 10 * rng.random()], 3)
        patient = folder / f"patient{number + 1:03d}"
        person = {
            "PatientName": f"{_NAMES[number % len(_NAMES)]}{number + 1}",
            "PatientID": f"PHANTOM-{seed}-{number + 1:03d}",
        }
        write_series(patient / "ct", hu, affine, key=f"sij/{seed}/{number}", tags=person)
        if number < masked:
            _write_mask(place(labels, affine), patient / _MASKS[masks])
        patients.append(patient)
    (folder / LABELS_FILE).write_text(json.dumps(LABELS, indent=2) + "\n", encoding="utf-8")
    return patients


def _write_mask(mask: sitk.Image, path: Path) -> None:
    if path.name.endswith(".seg.nrrd"):
        names = [name for name, value in LABELS.items() if value]
        for index, name in enumerate(names):
            fields = {"ID": f"Segment_{index + 1}", "Name": name, "Layer": "0",
                      "LabelValue": str(LABELS[name])}  # fmt: skip
            for key, value in fields.items():
                mask.SetMetaData(f"Segment{index}_{key}", value)
    sitk.WriteImage(mask, str(path), True)
