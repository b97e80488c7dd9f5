"""Read the headers of DICOM files: what of each slice decides where it belongs.

Names, birth dates and other persons' data are read by no line of this package but PatientID,
which only ever groups cases and is never shown or written.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pydicom
from pydicom.uid import UID

from dataset_conversion.dicom.multiframe import frames, numbers, rescaling, value
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.library_warnings import quiet_pydicom

SUFFIXES = (".dcm", ".dicom", ".ima")
_NO_IMAGE = frozenset(("SEG", "RTSTRUCT", "RTPLAN", "RTDOSE", "RTRECORD", "SR", "PR", "KO", "REG",
                       "DOC", "FID", "RWV", "AU", "ECG", "PLAN"))  # fmt: skip
_SEQUENCE_END = b"\xfe\xff\xdd\xe0"


@dataclass(frozen=True)
class Slice:
    """One DICOM image, a file or a frame of one; geometry is None where the header leaves it out.

    `slope` and `offset` are the rescaling of its values; `frame` counts from 0, None in a file of
    one image; `palette`: its values stand for colours.
    """

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
    syntax: str = ""
    frame: int | None = None
    slope: float = 1.0
    offset: float = 0.0
    palette: bool = False

    @property
    def name(self) -> str:
        """The file, and the frame where it has several."""
        return self.path.name if self.frame is None else f"{self.path.name} frame {self.frame + 1}"

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


def read_slices(path: Path) -> list[Slice] | NoImage | None:
    """Read one file's header: its image or its frames; None where the file is no DICOM at all.

    Raises:
        DatasetError: unreadable, damaged, or with fewer bytes than its pixels need.
    """
    try:
        with path.open("rb") as stream, quiet_pydicom():  # odd values are checked below
            headless = stream.read(132)[128:] != b"DICM"
            if headless and not _may_be_dicom(path):
                return None
            stream.seek(0)
            header = pydicom.dcmread(stream, stop_before_pixels=True, force=True)
            kind = UID(str(value(header, "SOPClassUID") or _stored_class(header)))
            modality = str(value(header, "Modality", "") or "")
            if not (kind or modality):
                _refuse_if_named_dicom(path)
                return None
            if modality in _NO_IMAGE:
                return NoImage(path, modality)
            if value(header, "Rows") is None:
                if "Image" in kind.name or not (modality and value(header, "SOPInstanceUID")):
                    raise ValueError("an image whose header ends early")
                return NoImage(path, modality)
            _check_length(path, header, stream.tell())
            return _slices(path, header, modality, headless)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror or error})") from error
    except DatasetError:
        raise
    except Exception as error:  # damaged bytes make pydicom raise anything
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


def _slices(path: Path, header: Any, modality: str, headless: bool) -> list[Slice]:
    kind = [str(part).upper() for part in value(header, "ImageType", None) or []]
    slope, offset = rescaling(header)
    meta = getattr(header, "file_meta", None)
    whole = Slice(
        path=path,
        uid=str(value(header, "SeriesInstanceUID", "") or ""),
        modality=modality,
        description=str(value(header, "SeriesDescription", "") or ""),
        patient=str(value(header, "PatientID", "") or "").strip(),
        localizer="LOCALIZER" in kind,
        matrix=(int(value(header, "Rows")), int(value(header, "Columns"))),
        samples=int(value(header, "SamplesPerPixel", 1) or 1),
        frames=int(value(header, "NumberOfFrames", 1) or 1),
        position=numbers(header, "ImagePositionPatient", 3),
        orientation=numbers(header, "ImageOrientationPatient", 6),
        pixel=numbers(header, "PixelSpacing", 2),
        headless=headless,
        syntax=str(getattr(meta, "TransferSyntaxUID", "") or ""),
        slope=slope,
        offset=offset,
        palette="PALETTE" in str(value(header, "PhotometricInterpretation", "")).upper(),
    )
    return [
        replace(
            whole,
            frame=index if whole.frames > 1 else None,
            position=frame.position,
            orientation=frame.orientation,
            pixel=frame.pixel,
            slope=frame.slope,
            offset=frame.intercept,
        )
        for index, frame in enumerate(frames(header))
    ] or [whole]


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
        names = ("SamplesPerPixel", "NumberOfFrames")
        samples, count = (int(value(header, name, 1) or 1) for name in names)
        pixels = int(value(header, "Rows")) * int(value(header, "Columns")) * samples * count
        bits = int(value(header, "BitsAllocated", 16))
        whole = path.stat().st_size - start >= pixels * bits // 8
    if not whole:
        raise DatasetError(f"{path}: truncated: the file ends before its pixels; copy it again")
