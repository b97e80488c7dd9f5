"""Read the headers of DICOM files: what of each slice decides where it belongs.

Names, birth dates and other persons' data are read by no line of this package but PatientID,
which only ever groups cases and is never shown or written.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID

from dataset_conversion.errors import DatasetError

SUFFIXES = (".dcm", ".dicom", ".ima")
_NO_IMAGE = frozenset(("SEG", "RTSTRUCT", "RTPLAN", "RTDOSE", "RTRECORD", "SR", "PR", "KO", "REG",
                       "DOC", "FID", "RWV", "AU", "ECG", "PLAN"))  # fmt: skip
_SEQUENCE_END = b"\xfe\xff\xdd\xe0"


@dataclass(frozen=True)
class Slice:
    """One DICOM image file; the geometry fields are None where the header leaves them out."""

    path: Path
    uid: str
    modality: str
    description: str
    patient: str
    localizer: bool
    matrix: tuple[int, int]
    samples: int
    frames: int
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel: tuple[float, ...] | None
    headless: bool

    @property
    def missing(self) -> list[str]:
        """Names of the geometry fields that the header leaves out."""
        fields = {
            "ImagePositionPatient": self.position,
            "ImageOrientationPatient": self.orientation,
            "PixelSpacing": self.pixel,
        }
        return [name for name, value in fields.items() if value is None]


@dataclass(frozen=True)
class NoImage:
    """A DICOM object without slices, such as SEG or a report."""

    path: Path
    modality: str


def read_slice(path: Path) -> Slice | NoImage | None:
    """Read one file's header; None where the file is no DICOM at all.

    Raises:
        DatasetError: unreadable, damaged, or with fewer bytes than its pixels need.
    """
    try:
        with path.open("rb") as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom warns of odd values that are checked below
            headless = stream.read(132)[128:] != b"DICM"
            if headless and not _may_be_dicom(path):
                return None
            stream.seek(0)
            header = pydicom.dcmread(stream, stop_before_pixels=True, force=True)
            kind = UID(str(header.get("SOPClassUID") or _stored_class(header)))
            modality = str(header.get("Modality", "") or "")
            if not (kind or modality):
                _refuse_if_named_dicom(path)
                return None
            if modality in _NO_IMAGE:
                return NoImage(path, modality)
            if "Rows" not in header:
                if "Image" in kind.name or not (modality and header.get("SOPInstanceUID")):
                    raise ValueError("an image whose header ends early")
                return NoImage(path, modality)
            _check_length(path, header, stream.tell())
            return _slice(path, header, modality, headless)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror or error})") from error
    except DatasetError:
        raise
    except (InvalidDicomError, EOFError, ValueError, TypeError, KeyError, AttributeError,
            NotImplementedError) as error:  # fmt: skip
        raise DatasetError(
            f"{path}: the DICOM header is damaged or truncated; copy the file again"
        ) from error


def _may_be_dicom(path: Path) -> bool:
    """Files without a preamble are DICOM by their name, or by starting with a group 0002/0008."""
    with path.open("rb") as stream:
        start = stream.read(4)
    return path.name.lower().endswith(SUFFIXES) or start[:2] in (b"\x08\x00", b"\x02\x00")


def _stored_class(header: Any) -> str:
    return str(getattr(getattr(header, "file_meta", None), "MediaStorageSOPClassUID", ""))


def _refuse_if_named_dicom(path: Path) -> None:
    if path.name.lower().endswith(SUFFIXES):
        raise DatasetError(
            f"{path}: named as DICOM, but without a readable header ('DICM' mark or SOPClassUID "
            "missing); export the series again or take the file away"
        )


def _slice(path: Path, header: Any, modality: str, headless: bool) -> Slice:
    kind = [str(part).upper() for part in header.get("ImageType", None) or []]
    return Slice(
        path=path,
        uid=str(header.get("SeriesInstanceUID", "") or ""),
        modality=modality,
        description=str(header.get("SeriesDescription", "") or ""),
        patient=str(header.get("PatientID", "") or "").strip(),
        localizer="LOCALIZER" in kind,
        matrix=(int(header.Rows), int(header.Columns)),
        samples=int(header.get("SamplesPerPixel", 1) or 1),
        frames=int(header.get("NumberOfFrames", 1) or 1),
        position=_numbers(header, "ImagePositionPatient", 3),
        orientation=_numbers(header, "ImageOrientationPatient", 6),
        pixel=_numbers(header, "PixelSpacing", 2),
        headless=headless,
    )


def _numbers(header: Any, name: str, count: int) -> tuple[float, ...] | None:
    value = header.get(name)
    if value is None or isinstance(value, str) or not hasattr(value, "__len__"):
        return None
    numbers = tuple(float(v) for v in value)
    return numbers if len(numbers) == count and np.isfinite(numbers).all() else None


def _check_length(path: Path, header: Any, start: int) -> None:
    """Stop where the file ends before its pixels do; decoders may fill the rest with zeros."""
    meta = getattr(header, "file_meta", None)
    syntax = getattr(meta, "TransferSyntaxUID", None)
    if syntax is not None and syntax.is_deflated:
        return
    if syntax is not None and syntax.is_compressed:
        with path.open("rb") as stream:
            stream.seek(start)
            whole = _SEQUENCE_END in stream.read()
    else:
        pixels = int(header.Rows) * int(header.Columns) * int(header.get("SamplesPerPixel", 1) or 1)
        bits = int(header.get("BitsAllocated", 16)) * int(header.get("NumberOfFrames", 1) or 1)
        whole = path.stat().st_size - start >= pixels * bits // 8
    if not whole:
        raise DatasetError(f"{path}: truncated: the file ends before its pixels; copy it again")
