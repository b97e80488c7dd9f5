"""Conversions of hospital folders, and patients written in the layouts of their folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from dataset_conversion.datasets.hospital_ct import Options, convert
from dataset_conversion.datasets.layouts import find_entries
from dataset_conversion.datasets.patient_folder import Patient, read_patient
from dataset_conversion.raw_format.summary import Report
from tests.dataset_conversion.making import ct, label_file, labels, nifti

PATTERN = "mask|seg|label"
NAME = "Dataset660_SacroiliacCT"
LAYOUTS = {
    "two trees": ("images/P{}.nii.gz", "labels/P{}.nii.gz"),
    "names of their own": ("CT_images/volume-{}.nii.gz", "CT_masks/segmentation-{}.nii.gz"),
    "no separators": ("img/img000{}.nii.gz", "label/label000{}.nii.gz"),
    "nnU-Net": ("imagesTr/P{}_0000.nii.gz", "labelsTr/P{}.nii.gz"),
    "folders in trees": ("scans/P{}/ct.nii.gz", "segmentations/P{}/mask.nii.gz"),
    "folders for images": ("scans/P{}/ct.nii.gz", "segmentations/P{}.nii.gz"),
    "VerSe": ("rawdata/sub-v{0}/sub-v{0}_ct.nii.gz",
              "derivatives/sub-v{0}/sub-v{0}_seg-vert_msk.nii.gz"),
    "BIDS": ("sub-{0}/ses-1/anat/sub-{0}_ses-1_T1w.nii.gz",
             "derivatives/labels/sub-{0}/ses-1/anat/sub-{0}_ses-1_T1w_label-SC_seg.nii.gz"),
    "flat": ("P{}_ct.nii.gz", "P{}_mask.nii.gz"),
    "flat, mask first": ("case{}.nii.gz", "mask_case{}.nii.gz"),
    "flat, bare image names": ("P{}.nii.gz", "P{}-label.nii.gz"),
    "masks next to folders": ("P{}/scan.nii.gz", "P{}_seg.nii.gz"),
}  # fmt: skip


def run(source: Path, raw: Path | None = None, **how: Any) -> Report:
    """Convert with the labels.json in the parent folder of the source."""
    options = Options(**{"labels": source.parent / "labels.json", **how})
    return convert(source, raw or source.parent / "raw", 660, options=options)


def written(source: Path, case: str = "p0") -> np.ndarray:
    """The label map (z, y, x) that `run` wrote."""
    image = sitk.ReadImage(str(source.parent / "raw" / NAME / "labelsTr" / f"{case}.nii.gz"))
    return sitk.GetArrayFromImage(image)


def put(folder: Path, images: str, masks: str = "") -> Path:
    """Write images and masks of these names without ending, separated by blanks."""
    for number, name in enumerate(images.split()):
        nifti(folder / f"{name}.nii.gz", ct(number))
    for name in masks.split():
        nifti(folder / f"{name}.nii.gz", labels())
    return folder


def fill(source: Path, layout: str, count: int = 2, masks: int = 2) -> Path:
    """Write patients in a layout, and labels.json; the mask of the first lacks a label."""
    image, mask = LAYOUTS[layout]
    for number in range(count):
        nifti(source / image.format(number), ct(number))
        if number < masks:
            nifti(source / mask.format(number), labels(values=(1, 2) if number else (2,)))
    label_file(source.parent / "labels.json")
    return source


def entries(source: Path) -> list[Any]:
    return find_entries(source, PATTERN)[0]


def read(entry: Any, pattern: str = PATTERN) -> Patient:
    return read_patient(entry, mask_pattern=pattern, modality="CT", series=None)
