"""Whose DICOM files are they: PatientID and PatientName, which are compared, never shown or written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import pydicom

from dataset_conversion.dicom.headers import Slice
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.library_warnings import quiet_pydicom

_RUNS = re.compile(r"\d+|[^\W\d_]+")  # digits, or letters
_WHOLE = re.compile(r"\s*(\d+)\.0+\s*")  # as spreadsheets and data frames write a number


def check_one_patient(slices: Iterable[Slice], who: str) -> None:
    """Stop if images have two PatientIDs; images without one may be anyone's."""
    count = len({spelling(item.patient) for item in slices if item.patient})
    if count > 1:
        raise DatasetError(
            f"{who}: the DICOM files belong to {'two' if count == 2 else count} patients (PatientID); expected one; "
            "put the files of each patient into a separate folder"
        )


def names_of(path: Path) -> list[str]:
    """Return PatientName and PatientID of a DICOM file; empty texts where they are missing."""
    names = ["PatientName", "PatientID"]
    with quiet_pydicom():
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=names)
        return [str(header.get(name, "") or "") for name in names]


def spelling(text: str) -> str:
    """Return an id without letter case, leading zeros, blanks and separators; "" if nothing is left.

    Equal results mean the same id. The parts stay apart, so that 1-23 and 12-3 differ; 7.0 is 7.

    >>> spelling("P 00123") == spelling("p_123"), spelling("1-23") == spelling("12-3")
    (True, False)
    """
    return " ".join(run.lstrip("0") or "0" if run.isdigit() else run for run in parts_of(text))


def parts_of(text: str) -> list[str]:
    """Return the runs of digits and of letters of an id, in lower case; one run for a whole number.

    >>> parts_of("P-0012"), parts_of("7.0")
    (['p', '0012'], ['7'])
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    whole = _WHOLE.fullmatch(plain)
    return [whole[1]] if whole else _RUNS.findall(plain)
