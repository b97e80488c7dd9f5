"""Faults of DICOM series; each is a function that damages the series in a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.uid import SecondaryCaptureImageStorage

from dataset_conversion.phantoms import volume_faults
from dataset_conversion.phantoms.dicom import uid, without_preamble

Harm = Callable[[Path], None]


def _slices(folder: Path, pattern: str = "*.dcm") -> list[Path]:
    return sorted(folder.glob(pattern))


def _each_slice(change: Callable[[Any, int, int], None]) -> Harm:
    """Make a fault of a change of every header, given its index in file order and the number of files."""

    def harm(folder: Path) -> None:
        files = _slices(folder)
        for index, path in enumerate(files):
            header: Any = pydicom.dcmread(path)
            change(header, index, len(files))
            header.save_as(path, enforce_file_format=True)

    return harm


def _copies(key: str, some: slice = slice(None)) -> Callable[[Callable[[Any], None]], Harm]:
    """Make a fault of a change of the headers of copies, with new UIDs, next to some of the slices."""

    def make(change: Callable[[Any], None]) -> Harm:
        def harm(folder: Path) -> None:
            for path in _slices(folder, "IM*.dcm")[some]:
                header: Any = pydicom.dcmread(path)
                header.SOPInstanceUID = uid(key, path.name)
                header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
                change(header)
                header.save_as(path.with_name(f"{key}_{path.name}"), enforce_file_format=True)

        return harm

    return make


def _tags(**values: object) -> Harm:
    """Make a fault that sets attributes of every slice, or removes those with None."""

    def change(header: Any, *_: int) -> None:
        for name, value in values.items():
            if value is None:
                delattr(header, name)
            else:
                setattr(header, name, value)

    return _each_slice(change)


def _geometry(header: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the position, and the directions of a row and of a column."""
    rows = np.array([float(v) for v in header.ImageOrientationPatient])
    return np.array([float(v) for v in header.ImagePositionPatient]), rows[:3], rows[3:]


def _short(values: np.ndarray) -> list[str]:
    return [f"{value:.9g}" for value in values]


def _turned(header: Any) -> None:
    """Turn a slice about its rows, across the others."""
    _, row, down = _geometry(header)
    header.ImageOrientationPatient = [
        *header.ImageOrientationPatient[:3], *_short(np.cross(row, down))]  # fmt: skip


def truncated(folder: Path) -> None:
    """The third slice ends early."""
    volume_faults.truncated(_slices(folder)[2])


def damaged_header(folder: Path) -> None:
    """Zeros over the first slice's header."""
    path = _slices(folder)[0]
    content = bytearray(path.read_bytes())
    content[140:700] = bytes(560)
    path.write_bytes(bytes(content))


def slice_missing(folder: Path) -> None:
    """One slice in the middle was not copied."""
    files = _slices(folder)
    files[len(files) // 2].unlink()


def multi_frame(folder: Path) -> None:
    """All slices in one file."""
    files = _slices(folder)
    first: Any = pydicom.dcmread(files[0])
    first.PixelData = b"".join(pydicom.dcmread(path).PixelData for path in files)
    first.NumberOfFrames = len(files)
    for path in files[1:]:
        path.unlink()
    first.save_as(files[0], enforce_file_format=True)


def no_preamble(folder: Path) -> None:
    """The old form: no 128 bytes, no 'DICM', no file meta group."""
    for path in _slices(folder):
        without_preamble(path)


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


# An anonymiser removed or emptied them, or wrote others.
no_position = _tags(ImagePositionPatient=None)
no_modality = _tags(Modality=None)
other_modality = _tags(Modality="PT")
empty_uids = _tags(StudyInstanceUID="", SeriesInstanceUID="")

#: The same position twice, as with two echoes in one series.
doubled = _copies("echo", slice(1, 2))(lambda header: None)
#: Some slices across the others.
two_orientations = _copies("across", slice(3))(_turned)


@_each_slice
def uid_per_slice(header: Any, index: int, count: int) -> None:
    """An anonymiser gave each slice its own SeriesInstanceUID."""
    header.SeriesInstanceUID = uid("slice", header.SeriesInstanceUID, index)


@_each_slice
def two_patients(header: Any, index: int, count: int) -> None:
    """Half of the slices belong to another patient."""
    if index >= count // 2:
        header.PatientID = "OTHER"


@_each_slice
def tilted(header: Any, index: int, count: int) -> None:
    """A gantry tilt of 14 degrees, without the tag that states it."""
    at, _, down = _geometry(header)
    slope = np.tan(np.radians(14.0))
    header.ImagePositionPatient = _short(at + slope * index * float(header.SliceThickness) * down)


@_each_slice
def rounded(header: Any, index: int, count: int) -> None:
    """Positions are written with two decimals."""
    header.ImagePositionPatient = [f"{float(v):.2f}" for v in header.ImagePositionPatient]


@_each_slice
def padded(header: Any, index: int, count: int) -> None:
    """The corner of every slice is PixelPaddingValue."""
    pixels = header.pixel_array.copy()
    pixels[:4, :4] = 63536
    header.PixelData = pixels.tobytes()
    header.add_new("PixelPaddingValue", "US", 63536)


@_each_slice
def two_matrices(header: Any, index: int, count: int) -> None:
    """Some slices have fewer rows."""
    if index < 3:
        rows = int(header.Rows) - 8
        header.PixelData = header.PixelData[: rows * int(header.Columns) * 2]
        header.Rows = rows


@_each_slice
def colour(header: Any, index: int, count: int) -> None:
    """RGB, as in a screenshot."""
    grey = (np.frombuffer(header.PixelData, "<u2") >> 4).astype(np.uint8)
    header.PixelData = np.repeat(grey, 3).tobytes()
    header.SamplesPerPixel, header.PhotometricInterpretation = 3, "RGB"
    header.PlanarConfiguration = 0
    header.BitsAllocated = header.BitsStored = 8
    header.HighBit = 7


@_each_slice
def angled_stacks(header: Any, index: int, count: int) -> None:
    """Three stacks of different angles in one series, as one per disc."""
    number = 3 * index // count
    angle = np.radians((-20.0, 0.0, 25.0))[number]
    at, row, down = _geometry(header)
    normal = np.cross(row, down)
    down = np.cos(angle) * down + np.sin(angle) * normal
    header.ImageOrientationPatient = _short(np.r_[row, down])
    # The files are in reverse order: back to the first slice of the stack, then along the new normal.
    steps = (index - number * count // 3) * float(header.SliceThickness)
    header.ImagePositionPatient = _short(at + steps * (normal - np.cross(row, down)))


@_copies("second")
def two_series(header: Any) -> None:
    """A second reconstruction in the same folder."""
    header.SeriesInstanceUID = uid("second", header.SeriesInstanceUID)
    header.SeriesDescription = "second"


@_copies("pass")
def two_passes(header: Any) -> None:
    """A second acquisition between the slices of the first: contrast medium, another kernel."""
    header.AcquisitionNumber, header.AcquisitionTime = 2, "120100"
    header.ContrastBolusAgent, header.ConvolutionKernel = "agent", "B70f"
    at, row, down = _geometry(header)
    at += float(header.SliceThickness) / 2 * np.cross(row, down)
    header.ImagePositionPatient = _short(at)


def water_and_fat(folder: Path) -> None:
    """Water and fat images in one series, distinguished by ImageType and EchoTime."""
    _tags(ImageType=["DERIVED", "PRIMARY", "W", "W"], EchoTime=2.4)(folder)

    @_copies("fat")
    def fat(header: Any) -> None:
        header.ImageType, header.EchoTime = ["DERIVED", "PRIMARY", "F", "F"], 3.6

    fat(folder)


def phases(folder: Path) -> None:
    """Three phases of a dynamic series that differ only in AcquisitionTime."""
    _tags(AcquisitionTime="120059")(folder)
    for number in (1, 2):

        @_copies(f"phase{number}")
        def later(header: Any, number: int = number) -> None:
            header.AcquisitionTime = f"1201{number:02d}.5"

        later(folder)


@_copies("scout", slice(1))
def scout(header: Any) -> None:
    """A frontal image in the series, without LOCALIZER in its ImageType."""
    header.ImageType = ["DERIVED", "SECONDARY"]
    _turned(header)


@_copies("dose", slice(1))
def dose_report(header: Any) -> None:
    """A picture of the dose report: a secondary capture without a position."""
    header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    header.ImageType = ["DERIVED", "SECONDARY", "SCREEN SAVE"]
    header.SeriesInstanceUID = uid("dose", header.SeriesInstanceUID)
    header.SeriesNumber, header.SeriesDescription = 999, "Dose Report"
    del header.ImagePositionPatient, header.ImageOrientationPatient, header.PixelSpacing
