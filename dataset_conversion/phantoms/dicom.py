"""Write a volume as a DICOM series, CT or MR, as exported from a PACS."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, MRImageStorage


@dataclass(frozen=True)
class Scanner:
    """What differs between modalities; `intercept` None writes no rescale tags."""

    modality: str
    storage: UID
    description: str
    intercept: int | None


CT = Scanner("CT", CTImageStorage, "Pelvis 1.5 bone", -1024)
MR = Scanner("MR", MRImageStorage, "T1 TSE oblique", None)


def uid(*parts: object) -> UID:
    """Return a valid UID that is the same for the same parts."""
    text = "/".join(str(part) for part in parts)
    return UID(f"2.25.{int.from_bytes(hashlib.sha256(text.encode()).digest()[:15], 'big')}")


def write_series(folder: Path, array: np.ndarray, affine: np.ndarray, *, key: str,
                 tags: Mapping[str, Any] | None = None, positions: np.ndarray | None = None,
                 preamble: bool = True, scanner: Scanner = CT) -> list[Path]:  # fmt: skip
    """Write one file per slice: uint16, slope 1, intercept -1024 (CT), the last slice in the first file.

    Args:
        folder: made if missing.
        array: values (z, y, x); HU from -1024 up for CT, from 0 up for MR.
        affine: 4 x 4 from index (x, y, z) to LPS mm.
        key: seed of the UIDs.
        tags: DICOM keywords to set or overwrite; a value of None leaves the tag out.
        positions: ImagePositionPatient of each slice (z, 3), to deviate from the affine.
        preamble: False leaves out the 128 bytes, 'DICM' and the file meta group.
        scanner: `CT` or `MR`.

    Returns:
        The files, in the order of the slices.
    """
    folder.mkdir(parents=True, exist_ok=True)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    direction = affine[:3, :3] / spacing
    files = []
    for index, plane in enumerate(array):
        at = affine[:3, 3] + affine[:3, 2] * index if positions is None else positions[index]
        header = _header(key, index, scanner)
        header.ImagePositionPatient = [_short(v) for v in at]
        header.ImageOrientationPatient = [_short(v) for v in direction[:, :2].T.ravel()]
        header.PixelSpacing = [_short(spacing[1]), _short(spacing[0])]
        header.SliceThickness = _short(spacing[2])
        header.InstanceNumber = len(array) - index
        header.Rows, header.Columns = plane.shape
        stored = np.clip(plane.astype(np.int32) - (scanner.intercept or 0), 0, 65535).astype("<u2")
        header.PixelData = stored.tobytes()
        for name, value in (tags or {}).items():
            if value is None:
                delattr(header, name)
            else:
                setattr(header, name, value)
        path = folder / f"IM{len(array) - index:04d}.dcm"
        header.save_as(path, enforce_file_format=True)
        if not preamble:
            without_preamble(path)
        files.append(path)
    return files


def without_preamble(path: Path) -> None:
    """Remove the 128 bytes, 'DICM' and the file meta group."""
    whole = path.read_bytes()
    # The meta group's length follows its first tag: 132 + 12 bytes, then that many.
    length = int.from_bytes(whole[140:144], "little")
    path.write_bytes(whole[144 + length :])


def _header(key: str, index: int, scanner: Scanner) -> FileDataset:
    """Return what all slices have in common, and the slice's own UID."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = scanner.storage
    meta.MediaStorageSOPInstanceUID = uid(key, "slice", index)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = uid("nnunet-plugins phantom")
    header = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    header.SpecificCharacterSet = "ISO_IR 192"
    header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    header.SOPClassUID = scanner.storage
    header.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    header.StudyInstanceUID = uid(key, "study")
    header.SeriesInstanceUID = uid(key, "series")
    header.FrameOfReferenceUID = uid(key, "frame")
    header.StudyDate = header.SeriesDate = "20240101"
    header.StudyTime = "120000"
    header.Modality = scanner.modality
    header.Manufacturer = "Phantom"
    header.SeriesDescription = scanner.description
    header.PatientName, header.PatientID = "Phantom^Nobody", "PHANTOM"
    header.PatientPosition = "HFS"
    header.StudyID, header.SeriesNumber = "1", 2
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated = header.BitsStored = 16
    header.HighBit, header.PixelRepresentation = 15, 0
    if scanner.intercept is not None:
        header.RescaleSlope, header.RescaleIntercept = 1, scanner.intercept
        header.RescaleType = "HU"
    return header


def _short(value: float) -> str:
    """Write a number in the 16 characters that DICOM's decimal strings allow."""
    return f"{float(value):.9g}"
