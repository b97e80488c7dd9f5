"""Check that DICOM images belong to one patient; PatientID is never shown or written."""

from __future__ import annotations

from collections.abc import Iterable

from dataset_conversion.dicom.headers import Slice
from dataset_conversion.errors import DatasetError


def check_one_patient(slices: Iterable[Slice], who: str) -> None:
    """Stop if images have two PatientIDs; images without one fit every patient.

    Letter case and leading zeros do not count.

    Raises:
        DatasetError: several PatientIDs.
    """
    count = len({item.patient.casefold().lstrip("0") for item in slices if item.patient})
    if count > 1:
        raise DatasetError(
            f"{who}: the DICOM files belong to {count} patients (PatientID); expected one; put the "
            "files of each patient into a separate folder"
        )
