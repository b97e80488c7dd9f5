"""Read the headers of DICOM files: series, geometry and rescaling of each slice.

PatientID groups cases and is never shown or written. The only other personal attribute that this
package reads is PatientName, see `patients.names_of`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pydicom
from pydicom.uid import UID

from dataset_conversion.dicom.deflated import check_deflated
from dataset_conversion.dicom.elements import text, value
from dataset_conversion.dicom.multiframe import frames, geometry
from dataset_conversion.dicom.padding import Padding, padding_of
from dataset_conversion.dicom.traits import traits_of
from dataset_conversion.errors import DatasetError, reading
from dataset_conversion.io.library_warnings import quiet_pydicom

SUFFIXES = (".dcm", ".dicom", ".ima")
_NON_IMAGE = frozenset(("SEG", "RTSTRUCT", "RTPLAN", "RTDOSE", "RTRECORD", "SR", "PR", "KO", "REG",
                       "DOC", "FID", "RWV", "AU", "ECG", "PLAN"))  # fmt: skip
# Secondary Capture (single-frame, and the multi-frame classes below it), and names of screens in ImageType.
_SECONDARY = "1.2.840.10008.5.1.4.1.1.7."
_SCREENS = re.compile(r"SCREEN|DOSE")
_PACKED = 20000  # values per byte of a compressed image, at most: JPEG 2000 of one grey value
_SEQUENCE_END = b"\xfe\xff\xdd\xe0"


@dataclass(frozen=True)
class Slice:
    """One DICOM image: a file or one of its frames.

    `position`, `orientation` (both LPS mm) and `pixel` (mm between rows, between columns) are None
    if the header lacks them. `matrix` is (rows, columns). `slope` and `offset` rescale the values.
    `frame` counts from 0 and is None in a single-frame file. `headless`: without preamble.
    `palette`: the values index colours. `inverted`: low values are shown bright (MONOCHROME1).
    `screen`: a picture of a screen. `units`: value of the last
    digit of each number of `position`. `commas`: attributes with decimal commas. `bad`: attributes
    that cannot be read, and their text. `traits`: see `traits_of`. `thickness` in mm, 0 if missing.
    `burned`: BurnedInAnnotation is YES.
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
    inverted: bool = False
    screen: bool = False
    study: str = ""
    number: str = ""
    thickness: float = 0.0
    units: tuple[float, ...] = (0.0, 0.0, 0.0)
    commas: tuple[str, ...] = ()
    bad: tuple[tuple[str, str], ...] = ()
    traits: Mapping[str, str] = field(default_factory=dict)
    padding: Padding | None = None
    burned: bool = False

    @property
    def name(self) -> str:
        """File name, and the number of the frame if the file has several."""
        return self.path.name if self.frame is None else f"{self.path.name} frame {self.frame + 1}"

    @property
    def missing(self) -> list[str]:
        """Names of the geometry attributes that the header lacks."""
        fields = {
            "ImagePositionPatient": self.position,
            "ImageOrientationPatient": self.orientation,
            "PixelSpacing": self.pixel,
        }
        return [name for name, value in fields.items() if value is None]


@dataclass(frozen=True)
class NonImage:
    """A DICOM object that is not an image, such as SEG or a report."""

    path: Path
    modality: str


def read_slices(path: Path) -> list[Slice] | NonImage | None:
    """Read the header of a file: one slice, or one per frame; None if the file is not DICOM.

    Raises:
        DatasetError: the file is unreadable, damaged, or shorter than its pixels.
    """
    try:
        # Invalid values are checked below.
        with reading(path), path.open("rb") as stream, quiet_pydicom():
            headless = stream.read(132)[128:] != b"DICM"
            if headless and not may_be_dicom(path):
                return None
            check_deflated(path)
            stream.seek(0)
            header = pydicom.dcmread(stream, stop_before_pixels=True, force=True)
            kind = UID(str(value(header, "SOPClassUID") or _stored_class(header)))
            modality = str(value(header, "Modality", "") or "")
            if not (kind or modality):
                _refuse_if_named_dicom(path)
                return None
            if modality in _NON_IMAGE:
                return NonImage(path, modality)
            if value(header, "Rows") is None:
                if "Image" in kind.name or not (modality and value(header, "SOPInstanceUID")):
                    raise ValueError("the header of an image ends early")
                return NonImage(path, modality)
            _check_length(path, header, stream.tell())
            return _slices(path, header, modality, headless)
    except DatasetError:
        raise
    except Exception as error:  # damaged bytes make pydicom raise various errors
        raise DatasetError(
            f"{path}: the DICOM header is damaged or truncated; copy the file again"
        ) from error


def may_be_dicom(path: Path) -> bool:
    """Check whether a file may be DICOM: by its name, the preamble, or a group 0002/0008 at the start.

    Raises:
        OSError: the file cannot be read.
    """
    if path.name.lower().endswith(SUFFIXES):
        return True
    with path.open("rb") as stream:
        start = stream.read(132)
    return start[128:] == b"DICM" or start[:2] in (b"\x08\x00", b"\x02\x00")


def _stored_class(header: Any) -> str:
    return str(getattr(getattr(header, "file_meta", None), "MediaStorageSOPClassUID", ""))


def _refuse_if_named_dicom(path: Path) -> None:
    if path.name.lower().endswith(SUFFIXES):
        raise DatasetError(
            f"{path}: named as DICOM, but without a readable header ('DICM' mark or SOPClassUID "
            "missing); export the series again or remove the file"
        )


def _slices(path: Path, header: Any, modality: str, headless: bool) -> list[Slice]:
    kind = [str(part).upper() for part in value(header, "ImageType", None) or []]
    meta = getattr(header, "file_meta", None)
    traits = traits_of(header)
    colours = str(value(header, "PhotometricInterpretation", "")).upper()
    base = Slice(
        path=path,
        uid=str(value(header, "SeriesInstanceUID", "") or ""),
        modality=modality,
        description=str(value(header, "SeriesDescription", "") or ""),
        patient=str(value(header, "PatientID", "") or "").strip(),
        localizer="LOCALIZER" in kind,
        matrix=(int(value(header, "Rows")), int(value(header, "Columns"))),
        samples=int(value(header, "SamplesPerPixel", 1) or 1),
        frames=int(value(header, "NumberOfFrames", 1) or 1),
        headless=headless,
        syntax=str(getattr(meta, "TransferSyntaxUID", "") or ""),
        palette="PALETTE" in colours,
        inverted=colours == "MONOCHROME1",
        screen=_SCREENS.search(" ".join(kind)) is not None
        or f"{value(header, 'SOPClassUID') or _stored_class(header)}.".startswith(_SECONDARY),
        study=str(value(header, "StudyInstanceUID", "") or ""),
        number=text(header, "SeriesNumber"),
        padding=padding_of(header),
        burned=text(header, "BurnedInAnnotation").upper() == "YES",
        **vars(geometry(header, traits)),
    )
    return [
        replace(base, frame=index if base.frames > 1 else None, **vars(frame))
        for index, frame in enumerate(frames(header, traits))
    ] or [base]


def _pixels(header: Any) -> int:
    """Return the number of values that the header promises."""
    names = ("SamplesPerPixel", "NumberOfFrames")
    samples, count = (int(value(header, name, 1) or 1) for name in names)
    return int(value(header, "Rows")) * int(value(header, "Columns")) * samples * count


def _check_length(path: Path, header: Any, start: int) -> None:
    """Reject a file that ends before its pixels: decoders may fill the rest with zeros."""
    meta = getattr(header, "file_meta", None)
    syntax = getattr(meta, "TransferSyntaxUID", None)
    if syntax is not None and syntax.is_deflated:
        return
    size = path.stat().st_size
    if syntax is not None and syntax.is_compressed:
        with path.open("rb") as stream:
            stream.seek(start)
            complete = _SEQUENCE_END in stream.read() and _pixels(header) <= _PACKED * size
    else:
        bits = int(value(header, "BitsAllocated", 16))
        complete = size - start >= _pixels(header) * bits // 8
    if not complete:
        raise DatasetError(f"{path}: truncated: the file ends before its pixels; copy it again")
