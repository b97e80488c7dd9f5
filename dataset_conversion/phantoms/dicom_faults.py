"""Faults of DICOM series; each function damages the series in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.uid import SecondaryCaptureImageStorage

from dataset_conversion.phantoms.dicom import uid


def _slices(folder: Path, pattern: str = "*.dcm") -> list[Path]:
    return sorted(folder.glob(pattern))


def _each(folder: Path, change: Callable[[Any, int], None], pattern: str = "*.dcm") -> None:
    """Change the header of every slice, given its index in file order."""
    for index, path in enumerate(_slices(folder, pattern)):
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


def no_modality(folder: Path) -> None:
    """An anonymiser removed Modality."""

    def change(header: Any, index: int) -> None:
        del header.Modality

    _each(folder, change)


def uid_per_slice(folder: Path) -> None:
    """An anonymiser gave each slice its own SeriesInstanceUID."""

    def change(header: Any, index: int) -> None:
        header.SeriesInstanceUID = uid("slice", header.SeriesInstanceUID, index)

    _each(folder, change)


def rounded(folder: Path, digits: int = 2) -> None:
    """Positions are written with few decimals."""

    def change(header: Any, index: int) -> None:
        header.ImagePositionPatient = [
            f"{float(v):.{digits}f}" for v in header.ImagePositionPatient
        ]

    _each(folder, change)


def decimal_commas(folder: Path) -> None:
    """PixelSpacing is written with decimal commas, which pydicom refuses to write."""
    tag = b"\x28\x00\x30\x00DS"
    for path in _slices(folder):
        content = path.read_bytes()
        start = content.index(tag) + len(tag)
        end = start + 2 + int.from_bytes(content[start : start + 2], "little")
        numbers = [f"{float(v):.3f}" for v in content[start + 2 : end].split(b"\\")]
        text = "\\".join(numbers).replace(".", ",").encode()
        text += b" " * (len(text) % 2)
        size = len(text).to_bytes(2, "little")
        path.write_bytes(content[:start] + size + text + content[end:])


def padded(folder: Path, value: int = 63536) -> None:
    """The corner of every slice is PixelPaddingValue."""

    def change(header: Any, index: int) -> None:
        pixels = header.pixel_array.copy()
        pixels[:4, :4] = value
        header.PixelData = pixels.tobytes()
        header.add_new("PixelPaddingValue", "US", value)

    _each(folder, change)


def _moved(header: Any, millimetres: float) -> None:
    """Move a slice along its normal."""
    rows = [float(v) for v in header.ImageOrientationPatient]
    at = np.array([float(v) for v in header.ImagePositionPatient])
    at += millimetres * np.cross(rows[:3], rows[3:])
    header.ImagePositionPatient = [f"{v:.9g}" for v in at]


def two_passes(folder: Path) -> None:
    """A second acquisition between the slices of the first: contrast medium, another kernel."""

    def change(header: Any) -> None:
        header.AcquisitionNumber, header.AcquisitionTime = 2, "120100"
        header.ContrastBolusAgent, header.ConvolutionKernel = "agent", "B70f"
        _moved(header, float(header.SliceThickness) / 2)

    for path in _slices(folder):
        _second(path, "pass", change)


def water_and_fat(folder: Path) -> None:
    """Water and fat images in one series, told apart by ImageType and EchoTime."""

    def first(header: Any, index: int) -> None:
        header.ImageType, header.EchoTime = ["DERIVED", "PRIMARY", "W", "W"], 2.4

    def second(header: Any) -> None:
        header.ImageType, header.EchoTime = ["DERIVED", "PRIMARY", "F", "F"], 3.6

    for path in _slices(folder):
        _second(path, "fat", second)
    _each(folder, first, "IM*.dcm")


def phases(folder: Path, count: int = 3) -> None:
    """Phases of a dynamic series that differ only in AcquisitionTime."""
    for number in range(1, count):

        def change(header: Any, number: int = number) -> None:
            header.AcquisitionTime = f"1201{number:02d}.5"

        for path in _slices(folder, "IM*.dcm"):
            _second(path, f"phase{number}", change)

    def first(header: Any, index: int) -> None:
        header.AcquisitionTime = "120059"

    _each(folder, first, "IM*.dcm")


def angled_stacks(folder: Path) -> None:
    """Three stacks of different angles in one series, as one per disc."""
    files = _slices(folder)
    angles = np.radians((-20.0, 0.0, 25.0))

    def change(header: Any, index: int) -> None:
        angle = angles[3 * index // len(files)]
        rows = np.array([float(v) for v in header.ImageOrientationPatient])
        normal = np.cross(rows[:3], rows[3:])
        down = np.cos(angle) * rows[3:] + np.sin(angle) * normal
        header.ImageOrientationPatient = [f"{v:.9g}" for v in (*rows[:3], *down)]
        step = np.cross(rows[:3], down) * float(header.SliceThickness)
        first = (3 * index // len(files)) * len(files) // 3
        at = np.array([float(v) for v in header.ImagePositionPatient])
        # The files are in reverse order: back to the first slice of the stack, then along the new normal.
        at += normal * float(header.SliceThickness) * (index - first) - step * (index - first)
        header.ImagePositionPatient = [f"{v:.9g}" for v in at]

    _each(folder, change)


def scout(folder: Path) -> None:
    """A frontal image in the series, without LOCALIZER in its ImageType."""

    def change(header: Any) -> None:
        header.ImageType = ["DERIVED", "SECONDARY"]
        row, down = header.ImageOrientationPatient[:3], header.ImageOrientationPatient[3:]
        normal = np.cross([float(v) for v in row], [float(v) for v in down])
        header.ImageOrientationPatient = [*row, *[f"{v:.9g}" for v in normal]]

    _second(_slices(folder)[0], "scout", change)


def dose_report(folder: Path) -> None:
    """A picture of the dose report: a secondary capture without a position."""

    def change(header: Any) -> None:
        header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
        header.ImageType = ["DERIVED", "SECONDARY", "SCREEN SAVE"]
        header.SeriesInstanceUID = uid("dose", header.SeriesInstanceUID)
        header.SeriesNumber, header.SeriesDescription = 999, "Dose Report"
        del header.ImagePositionPatient, header.ImageOrientationPatient, header.PixelSpacing

    _second(_slices(folder)[0], "dose", change)


def two_patients(folder: Path) -> None:
    """Half of the slices belong to another patient."""
    count = len(_slices(folder))

    def change(header: Any, index: int) -> None:
        if index >= count // 2:
            header.PatientID = "OTHER"

    _each(folder, change)
