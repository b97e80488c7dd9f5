"""Whose DICOM files are they: group files by PatientID, which is never shown or written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from dataset_conversion.dicom.headers import NonImage, Slice, read_slices
from dataset_conversion.errors import DatasetError


def check_one_patient(slices: Iterable[Slice], who: str) -> None:
    """Stop if images have two PatientIDs; images without one may be anyone's.

    Raises:
        DatasetError: several PatientIDs.
    """
    count = len({item.patient for item in slices if item.patient})
    if count > 1:
        raise DatasetError(
            f"{who}: the DICOM files belong to {count} patients (PatientID); expected one; put the "
            "files of each patient into a separate folder"
        )


def by_patient(files: Sequence[Path]) -> list[list[Path]]:
    """Group DICOM images by PatientID; other files, and images without it, are left out.

    Returns:
        One list per patient, in the order of the files, which are sorted. The PatientIDs are not
        returned.

    Raises:
        DatasetError: a damaged file, see `read_slices`.
    """
    groups: dict[str, list[Path]] = {}
    for path in sorted(files):
        found = read_slices(path)
        if found and not isinstance(found, NonImage) and found[0].patient:
            groups.setdefault(found[0].patient, []).append(path)
    return list(groups.values())
