"""Faults of DICOM series; each function damages the series in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from dataset_conversion.phantoms.dicom import uid


def _slices(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.dcm"))


def _each(folder: Path, change: Callable[[Any, int], None]) -> None:
    """Change the header of every slice, given its index in file order."""
    for index, path in enumerate(_slices(folder)):
        header: Any = pydicom.dcmread(path)
        change(header, index)
        header.save_as(path, enforce_file_format=True)


def truncated(folder: Path) -> None:
    """The third slice ends early."""
    path = _slices(folder)[2]
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


def damaged_header(folder: Path) -> None:
    """Zeros over the first slice's header."""
    path = _slices(folder)[0]
    content = bytearray(path.read_bytes())
    content[140:700] = bytes(560)
    path.write_bytes(bytes(content))


def tilted(folder: Path) -> None:
    """A gantry tilt of 14 degrees, without the tag that states it."""
    slope = np.tan(np.radians(14.0))

    def change(header: Any, index: int) -> None:
        down = np.array([float(v) for v in header.ImageOrientationPatient[3:]])
        at = np.array([float(v) for v in header.ImagePositionPatient])
        moved = at + slope * index * float(header.SliceThickness) * down
        header.ImagePositionPatient = [f"{v:.9g}" for v in moved]

    _each(folder, change)


def slice_missing(folder: Path) -> None:
    """One slice in the middle was not copied."""
    files = _slices(folder)
    files[len(files) // 2].unlink()


def _second(path: Path, key: str, change: Callable[[Any], None]) -> None:
    """Write a changed copy of a slice next to it, with a new UID."""
    header: Any = pydicom.dcmread(path)
    header.SOPInstanceUID = uid(key, path.name)
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    change(header)
    header.save_as(path.with_name(f"{key}_{path.name}"), enforce_file_format=True)


def doubled(folder: Path) -> None:
    """The same position twice, as with two echoes in one series."""
    _second(_slices(folder)[1], "echo", lambda header: None)


def two_orientations(folder: Path) -> None:
    """A series with some slices across the others."""

    def change(header: Any) -> None:
        row, down = header.ImageOrientationPatient[:3], header.ImageOrientationPatient[3:]
        normal = np.cross([float(v) for v in row], [float(v) for v in down])
        header.ImageOrientationPatient = [*row, *[f"{v:.9g}" for v in normal]]

    for path in _slices(folder)[:3]:
        _second(path, "across", change)


def two_series(folder: Path) -> None:
    """A second reconstruction in the same folder."""

    def change(header: Any) -> None:
        header.SeriesInstanceUID = uid("second", header.SeriesInstanceUID)
        header.SeriesDescription = "second"

    for path in _slices(folder):
        _second(path, "second", change)


def two_matrices(folder: Path) -> None:
    """Some slices have fewer rows."""

    def change(header: Any, index: int) -> None:
        if index < 3:
            rows = int(header.Rows) - 8
            header.PixelData = header.PixelData[: rows * int(header.Columns) * 2]
            header.Rows = rows

    _each(folder, change)


def colour(folder: Path) -> None:
    """RGB, as in a screenshot."""

    def change(header: Any, index: int) -> None:
        grey = (np.frombuffer(header.PixelData, "<u2") >> 4).astype(np.uint8)
        header.PixelData = np.repeat(grey, 3).tobytes()
        header.SamplesPerPixel, header.PhotometricInterpretation = 3, "RGB"
        header.PlanarConfiguration = 0
        header.BitsAllocated = header.BitsStored = 8
        header.HighBit = 7

    _each(folder, change)


def multi_frame(folder: Path) -> None:
    """All slices in one file."""
    files = _slices(folder)
    first: Any = pydicom.dcmread(files[0])
    first.PixelData = b"".join(pydicom.dcmread(path).PixelData for path in files)
    first.NumberOfFrames = len(files)
    for path in files[1:]:
        path.unlink()
    first.save_as(files[0], enforce_file_format=True)


def no_position(folder: Path) -> None:
    """An anonymiser removed ImagePositionPatient."""

    def change(header: Any, index: int) -> None:
        del header.ImagePositionPatient

    _each(folder, change)


def other_modality(folder: Path) -> None:
    """A PET series."""

    def change(header: Any, index: int) -> None:
        header.Modality = "PT"

    _each(folder, change)


def empty_uids(folder: Path) -> None:
    """An anonymiser left StudyInstanceUID and SeriesInstanceUID empty."""

    def change(header: Any, index: int) -> None:
        header.StudyInstanceUID = header.SeriesInstanceUID = ""

    _each(folder, change)


def no_preamble(folder: Path) -> None:
    """The old form: no 128 bytes, no 'DICM', no file meta group."""
    for path in _slices(folder):
        content = path.read_bytes()
        # The meta group's length follows its first tag: 132 + 12 bytes, then that many.
        length = int.from_bytes(content[140:144], "little")
        path.write_bytes(content[144 + length :])
