"""Check that the DICOM files of one patient's folder belong to one patient."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pydicom

from dataset_conversion.dicom.deflated import check_deflated
from dataset_conversion.dicom.patients import spelling
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.library_warnings import quiet_pydicom


def check_one_patient(files: Sequence[Path], folder: Path) -> None:
    """Reject DICOM files with several PatientIDs; the ids are not shown.

    Letter case, leading zeros and separators do not count, and files without an id fit every patient.
    """
    patients: dict[str, list[Path]] = {}
    for path in files:
        known = _patient_id(path)
        if known:
            patients.setdefault(known, []).append(path)
    if len(patients) > 1:
        raise DatasetError(_problem(list(patients.values()), folder))


def _patient_id(path: Path) -> str:
    try:
        check_deflated(path)
        with quiet_pydicom():
            header = pydicom.dcmread(path, stop_before_pixels=True, force=True,
                                     specific_tags=["PatientID"])  # fmt: skip
            return spelling(str(header.get("PatientID", "") or ""))
    except Exception:  # damaged files are reported by the reader of series
        return ""


def _problem(patients: Sequence[Sequence[Path]], folder: Path) -> str:
    count = len(patients)
    base = Path(os.path.commonpath([path.parent for files in patients for path in files]))
    below = [{path.relative_to(base).parts[0] for path in files if path.parent != base}
             for files in patients]  # fmt: skip
    inside = all(below) and len(set.union(*below)) == sum(map(len, below))
    loose = any(path.parent == base for files in patients for path in files)
    two = "two" if count == 2 else str(count)
    if not inside or loose:
        return (
            f"{folder}: holds DICOM files of {two} patients (their PatientIDs differ) in the same folder "
            f"{base.name}; sort them into one folder per patient"
        )
    names = sorted(set.union(*below))
    shown = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    return (
        f"{folder}: holds DICOM files of {two} patients (their PatientIDs differ): {shown}; pass {base} as the "
        "source if it holds all patients, or move these folders into the source"
    )
