"""Synthetic patients as a hospital exports sacroiliac-joint CT: DICOM series and masks."""

from __future__ import annotations

import json
from pathlib import Path

import SimpleITK as sitk

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import place
from dataset_conversion.phantoms.dicom import write_series
from dataset_conversion.phantoms.pelvis_ct import pelvis
from dataset_conversion.phantoms.sij_anatomy import LEFT, RIGHT, SACRUM
from dataset_conversion.phantoms.truth import Truth
from dataset_conversion.phantoms.writer import Grid, phantom

SIZES = {
    "small": Grid((20, 64, 64), (5.92, 5.92, 5.0)),
    "demo": Grid((36, 64, 64), (5.0, 5.0, 4.5)),
    "full": Grid((60, 512, 512), (0.74, 0.74, 1.5)),
}
LABELS = {"background": 0, "sacrum": SACRUM, "left ilium": LEFT, "right ilium": RIGHT}
LABELS_FILE = "labels.json"
_MASKS = {"nifti": "mask.nii.gz", "seg.nrrd": "segmentation.seg.nrrd"}
_NAMES = ("Quill^Ada", "Brandt^Ole", "Novak^Iva", "Osei^Kofi", "Tanaka^Rin", "Moreau^Lou")


@phantom("hospital-ct", SIZES)
def write_patients(folder: Path, count: int, grid: Grid, seed: int, *,
                   shape: tuple[int, int, int] | None = None,
                   spacing: tuple[float, float, float] | None = None,
                   with_masks: bool | int = True, masks: str = "nifti") -> list[Truth]:  # fmt: skip
    """Write patients and `labels.json` below a folder.

    Each has `ct/` (DICOM, files in reverse order) and a mask: 1 sacrum, 2 left, 3 right ilium.
    The sides are nearly mirror images, so only position distinguishes them.

    Options:
        shape: voxels (z, y, x), instead of the size's; the anatomy is scaled to the field of view.
        spacing: mm (x, y, z), instead of the size's.
        with_masks: all, none, or a number of patients.
        masks: "nifti" (ITK-SNAP's) or "seg.nrrd" (3D Slicer's).
    """
    grid = Grid(shape or grid.shape, spacing or grid.spacing)
    if masks not in _MASKS:
        raise DatasetError(f"phantom masks {masks!r}; allowed: {', '.join(_MASKS)}")
    masked = (count if with_masks else 0) if isinstance(with_masks, bool) else with_masks
    folder.mkdir(parents=True, exist_ok=True)
    truths = []
    for number in range(count):
        one = pelvis(grid, seed, number)
        patient = folder / f"patient{number + 1:03d}"
        who = {
            "PatientName": f"{_NAMES[number % len(_NAMES)]}{number + 1}",
            "PatientID": f"PHANTOM-{seed}-{number + 1:03d}",
        }
        write_series(patient / "ct", one.hu, one.affine, key=f"sij/{seed}/{number}", tags=who)
        mask = patient / _MASKS[masks] if number < masked else None
        if mask:
            _write_mask(place(one.labels, one.affine), mask)
        truths.append(Truth(patient.name, patient.name, patient / "ct", mask, one.known))
    (folder / LABELS_FILE).write_text(json.dumps(LABELS, indent=2) + "\n", encoding="utf-8")
    return truths


def _write_mask(mask: sitk.Image, path: Path) -> None:
    if path.name.endswith(".seg.nrrd"):
        names = [name for name, value in LABELS.items() if value]
        for index, name in enumerate(names):
            fields = {"ID": f"Segment_{index + 1}", "Name": name, "Layer": "0",
                      "LabelValue": str(LABELS[name])}  # fmt: skip
            for key, value in fields.items():
                mask.SetMetaData(f"Segment{index}_{key}", value)
    sitk.WriteImage(mask, str(path), True)
