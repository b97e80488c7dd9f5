"""Faults of medical files: each is a function on files and a row of one table.

The table states where a fault can occur and how a converter must respond.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dataset_conversion.errors import DatasetError
from dataset_conversion.phantoms import dicom_faults as dicom
from dataset_conversion.phantoms import volume_faults as volume
from dataset_conversion.phantoms.truth import Truth

NIFTI, META, DICOM = "nifti", "meta", "dicom"
STOPS, FIXED = "stops", "fixed"


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        where: "image", "mask" or "folder" (files next to them): what is damaged.
        kinds: formats of that file in which it can occur.
        harm: causes it, given the file; for "folder" given the image.
        answer: `STOPS` or `FIXED`.
        says: regular expression for the error message, or for the report if fixed.
        remedy: option -> value with which a stopped case is converted, if there is one.
    """

    where: str
    kinds: tuple[str, ...]
    harm: Callable[[Path], None]
    answer: str
    says: str = ""
    remedy: Mapping[str, Any] = field(default_factory=dict)


_FILES = (NIFTI, META)
_ALL = (NIFTI, META, DICOM)

FAULTS: Mapping[str, Fault] = {
    # files
    "truncated image": Fault("image", _FILES, volume.truncated, STOPS, "truncated or damaged"),
    "truncated mask": Fault("mask", _FILES, volume.truncated, STOPS, "truncated or damaged"),
    "flipped bits": Fault("image", _FILES, volume.flipped_bits, STOPS, "truncated or damaged|cannot be read"),
    "empty file": Fault("image", _FILES, volume.no_bytes, STOPS, "empty|truncated|cannot be read"),
    "no image at all": Fault("image", _FILES, volume.text, STOPS, "cannot be read|damaged"),
    "litter": Fault("folder", _ALL, volume.litter, FIXED),
    "mask missing": Fault("mask", _FILES, Path.unlink, FIXED, "without a mask|imagesTs"),
    "image missing": Fault("image", _FILES, Path.unlink, STOPS, "without (its|an) image"),
    # values
    "NaN": Fault("image", _FILES, volume.not_a_number, STOPS, "1 voxels are NaN or inf"),
    "infinity": Fault("image", _FILES, volume.infinite, STOPS, "1 voxels are NaN or inf"),
    "colour image": Fault("image", _FILES, volume.colour, STOPS, "RGB"),
    "colour mask": Fault("mask", _FILES, volume.colour, STOPS, "RGB"),
    "4D image": Fault("image", _FILES, volume.four_dimensional, STOPS, "4D.*choose volume k"),
    "empty mask": Fault("mask", _FILES, volume.empty, STOPS, "empty", {"allow_empty": True}),
    "strange label": Fault("mask", _FILES, volume.strange_label, STOPS, r"label values \[60\]", {"drop": (60,)}),
    "negative label": Fault("mask", _FILES, volume.negative_label, STOPS, "values from -1"),
    "almost whole": Fault("mask", _FILES, volume.almost_whole, FIXED),
    "fractions": Fault("mask", _FILES, volume.fractions, STOPS, "have fractions such as"),
    "scaled mask": Fault("mask", (NIFTI,), volume.scaled, STOPS, "scl_slope 2"),
    "image for mask": Fault("mask", _FILES, volume.grey_values, STOPS, "not a label map"),
    # geometry
    "flipped mask": Fault("mask", _FILES, volume.flipped, FIXED, "copied voxel by voxel.* its axes run"),
    "shifted mask": Fault("mask", _FILES, volume.shifted, STOPS, r"centres are 5\.0 mm apart"),
    "coarser mask": Fault("mask", _FILES, volume.coarser, STOPS, "resample.mask", {"resample_mask": True}),
    "other spacing": Fault("mask", _FILES, volume.other_spacing, STOPS, "another grid than its|not aligned with"),
    "sheared": Fault("image", _FILES, volume.sheared, STOPS, "axes are sheared"),
    "almost orthonormal": Fault("image", _FILES, volume.almost_orthonormal, FIXED, "straightened"),
    "no orientation": Fault("image", (NIFTI,), volume.no_orientation, STOPS, "has no orientation"),
    # DICOM
    "truncated slice": Fault("image", (DICOM,), dicom.truncated, STOPS, "truncated|cannot be decoded"),
    "damaged header": Fault("image", (DICOM,), dicom.damaged_header, STOPS, "DICOM"),
    "tilted gantry": Fault("image", (DICOM,), dicom.tilted, STOPS, "tilted by 14"),
    "slice missing": Fault("image", (DICOM,), dicom.slice_missing, STOPS, "uneven gaps"),
    "doubled slice": Fault("image", (DICOM,), dicom.doubled, STOPS, "have the position of another"),
    "two orientations": Fault("image", (DICOM,), dicom.two_orientations, FIXED),
    "two series": Fault("image", (DICOM,), dicom.two_series, STOPS, "2 DICOM series"),
    "two matrices": Fault("image", (DICOM,), dicom.two_matrices, STOPS, "2 stacks .different matrix"),
    "colour slices": Fault("image", (DICOM,), dicom.colour, STOPS, "RGB"),
    "multi-frame": Fault("image", (DICOM,), dicom.multi_frame, STOPS, "multi-frame"),
    "no position": Fault("image", (DICOM,), dicom.no_position, STOPS, "ImagePositionPatient"),
    "other modality": Fault("image", (DICOM,), dicom.other_modality, STOPS, "Modality is PT"),
    "empty UIDs": Fault("image", (DICOM,), dicom.empty_uids, FIXED),
    "no Modality": Fault("image", (DICOM,), dicom.no_modality, STOPS, "--modality none"),
    "UID per slice": Fault("image", (DICOM,), dicom.uid_per_slice, FIXED, "own SeriesInstanceUID"),
    "rounded positions": Fault("image", (DICOM,), dicom.rounded, FIXED),
    "decimal commas": Fault("image", (DICOM,), dicom.decimal_commas, FIXED, "decimal commas.* PixelSpacing"),
    "padding": Fault("image", (DICOM,), dicom.padded, FIXED, "PixelPaddingValue"),
    "two passes": Fault("image", (DICOM,), dicom.two_passes, STOPS, "2 volumes.*--series 'acquisition 2'"),
    "water and fat": Fault("image", (DICOM,), dicom.water_and_fat, STOPS, "2 volumes.*--series 'ImageType=W'"),
    "phases": Fault("image", (DICOM,), dicom.phases, STOPS, "3 volumes.*--series 'phase 3'"),
    "angled stacks": Fault("image", (DICOM,), dicom.angled_stacks, STOPS, "3 stacks.*--series 'stack 3'"),
    "scout": Fault("image", (DICOM,), dicom.scout, FIXED, "passed over"),
    "dose report": Fault("image", (DICOM,), dicom.dose_report, FIXED, "passed over"),
    "two patients": Fault("image", (DICOM,), dicom.two_patients, STOPS, "two patients"),
    "no preamble": Fault("image", (DICOM,), dicom.no_preamble, FIXED),
}  # fmt: skip


def possible(truth: Truth) -> list[str]:
    """Return the names of the faults that can occur in this patient's files."""
    return [name for name, fault in FAULTS.items() if _fits(fault, truth)]


def inject(name: str, truths: Sequence[Truth]) -> list[Truth]:
    """Damage the files of the first image; return the truths after that.

    Raises:
        DatasetError: an unknown fault, or one that cannot occur in these files.
    """
    first = truths[0]
    if name not in FAULTS or not _fits(FAULTS[name], first):
        raise DatasetError(
            f"phantom fault {name!r} cannot occur here; allowed: {', '.join(possible(first))}"
        )
    fault = FAULTS[name]
    if fault.where == "mask" and fault.harm is Path.unlink:
        fault.harm(_file(fault, first))
        return [replace(first, mask=None), *truths[1:]]
    fault.harm(_file(fault, first))
    return list(truths)


def _fits(fault: Fault, truth: Truth) -> bool:
    file = _file(fault, truth)
    kind = DICOM if file.is_dir() else NIFTI if file.name.endswith((".nii", ".nii.gz")) else META
    return kind in fault.kinds


def _file(fault: Fault, truth: Truth) -> Path:
    return truth.mask if fault.where == "mask" and truth.mask is not None else truth.image
