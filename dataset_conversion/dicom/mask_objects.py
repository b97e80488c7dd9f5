"""Recognise DICOM files that hold masks, and the series that they refer to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag, Tag

from dataset_conversion.dicom.deflated import check_deflated
from dataset_conversion.dicom.first_elements import first_elements
from dataset_conversion.dicom.headers import may_be_dicom
from dataset_conversion.dicom.series import Series
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.library_warnings import quiet_pydicom

SEG, RTSTRUCT = "SEG", "RTSTRUCT"
_KINDS = {
    "1.2.840.10008.5.1.4.1.1.66.4": SEG,
    "1.2.840.10008.5.1.4.1.1.66.7": SEG,  # label map, DICOM 2024c
    "1.2.840.10008.5.1.4.1.1.66.5": "surface segmentation",
    "1.2.840.10008.5.1.4.1.1.481.3": RTSTRUCT,
}
_READ = [Tag(name) for name in ("SOPClassUID", "Modality", "SeriesDescription")]


@dataclass(frozen=True)
class Role:
    """What a DICOM file is: the kind of a mask object or None, and its SeriesDescription."""

    kind: str | None
    description: str


def role_of(path: Path) -> Role | None:
    """Read the first attributes of a file; None if it is not DICOM or is damaged.

    The slices of a series are read again in full, so this reads no more than the first kilobyte or two.

    Raises:
        DatasetError: the file cannot be read.
    """
    try:
        found = first_elements(path, _READ)
        if found is None:
            if not may_be_dicom(path):
                return None
            found = _by_library(path)
        uid, modality, description = (found.get(tag, "") for tag in _READ)
        kind = _KINDS.get(uid) or (RTSTRUCT if modality == RTSTRUCT else None)
        return Role(kind, description)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception:  # damaged: reported with the reason by the reader of the series
        return None


def _by_library(path: Path) -> dict[int, str]:
    tags: list[BaseTag | int] = [*_READ]
    with path.open("rb") as stream, quiet_pydicom():
        header: Any = read_partial(
            stream, stop_when=lambda tag, *_: tag > _READ[-1], force=True, specific_tags=tags
        )
        return {tag: str(header[tag].value or "") for tag in _READ if tag in header}


@dataclass(frozen=True)
class References:
    """UIDs that a SEG or RTSTRUCT refers to."""

    series: frozenset[str]
    instances: frozenset[str]
    frames: frozenset[str]


def read_references(path: Path) -> References:
    """Return the series, images and frames of reference that an object refers to.

    Raises:
        DatasetError: the file is damaged.
    """
    with quiet_pydicom():
        try:
            check_deflated(path)
            header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
            found: dict[str, set[str]] = {"series": set(), "instances": set(), "frames": set()}
            frame = str(header.get("FrameOfReferenceUID", "") or "")
            found["frames"].add(frame)
            for role, uid in _uids(header):
                found[role].add(uid)
        except Exception as error:  # damaged bytes make pydicom raise various errors
            raise DatasetError(f"{path}: the DICOM header is damaged; copy it again") from error
    series, instances, frames = (frozenset(uids - {""}) for uids in found.values())
    return References(series, instances, frames)


def _uids(header: Any) -> Iterator[tuple[str, str]]:
    """Find references to series, images and frames of reference outside the frames and contours."""
    for name in ("ReferencedSeriesSequence", "RTReferencedSeriesSequence"):
        for item in header.get(name) or []:
            yield "series", str(item.get("SeriesInstanceUID", ""))
            for part in ("ReferencedInstanceSequence", "ContourImageSequence"):
                for image in item.get(part) or []:
                    yield "instances", str(image.get("ReferencedSOPInstanceUID", ""))
    for item in header.get("ReferencedFrameOfReferenceSequence") or []:
        yield "frames", str(item.get("FrameOfReferenceUID", ""))
        for study in item.get("RTReferencedStudySequence") or []:
            yield from _uids(study)
    for item in header.get("StructureSetROISequence") or []:
        yield "frames", str(item.get("ReferencedFrameOfReferenceUID", ""))


@dataclass(frozen=True)
class Identity:
    """UIDs of a series: its own, that of its first image, and its frame of reference."""

    series: str
    instance: str
    frame: str


def identity_of(series: Series) -> Identity:
    """Read the UIDs of a series from its first file."""
    names = ["SOPInstanceUID", "FrameOfReferenceUID"]
    with quiet_pydicom():
        header = pydicom.dcmread(
            series.paths[0], stop_before_pixels=True, force=True, specific_tags=names
        )
    instance, frame = (str(header.get(name, "") or "") for name in names)
    return Identity(series.slices[0].uid, instance, frame)


def names_series(references: References, series: Identity) -> bool:
    """Return whether an object names a series or an image of it."""
    return series.series in references.series or series.instance in references.instances


def shares_frame(references: References, series: Identity) -> bool:
    """Return whether an object and a series have one frame of reference."""
    return series.frame in references.frames
