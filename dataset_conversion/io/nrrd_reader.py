"""Read NRRD with ITK, which takes any missing orientation for the identity.

Format: http://teem.sourceforge.net/nrrd/format.html
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import orthonormal, place
from dataset_conversion.io.gzip_content import head, is_gzip, plain
from dataset_conversion.io.metaimage import not_a_volume
from dataset_conversion.io.nrrd_integrity import damaged
from dataset_conversion.io.promised_size import check_promise, most_bytes, nrrd_voxels

_HEAD = 1 << 20  # bytes within which a header must end
# Spaces whose axes are named after the body; the others, such as scanner-xyz, name no side.
_SPACES = ("left-posterior-superior", "lps", "right-anterior-superior", "ras",
           "left-anterior-superior", "las")  # fmt: skip
# Lines on geometry, which ITK rejects where they are incomplete.
_GEOMETRY = re.compile(
    rb"(?i)(space|spacings|axis ?mins|axis ?maxs|measurement frame)\b[^:]*:(?!=)"
)
_MM = frozenset(("mm", "millimeter", "millimeters", "millimetre", "millimetres"))
_LONGEST = 500  # characters of a field
_FREE_TEXT = frozenset(("content", "labels"))


@dataclass(frozen=True)
class NrrdImage:
    """Stored values (z, y, x), or (z, y, x, n) for n values per voxel; a volume with the geometry; fields.

    `lost` says why the header gives no orientation, and is empty if it gives one.
    """

    raw: np.ndarray
    grid: sitk.Image
    fields: dict[str, str]
    lost: str = ""


def read_nrrd_header(path: Path) -> tuple[tuple[int, ...], np.ndarray]:
    """Return the size (x, y, z and possibly more) and the 4 x 4 matrix to LPS mm.

    Raises:
        DatasetError: the header gives no orientation, or the values are in another file.
        RuntimeError: ITK cannot read it.
    """
    with plain(path, _promised(path)) as file:
        header = nrrd_fields(file)
        check_header(header, path)
        if lost := orientation_lost(header):
            raise DatasetError(no_sides(path, lost))
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(file))
        reader.ReadImageInformation()
        size, matrix = tuple(reader.GetSize()), np.eye(4)
        if len(size) == 3:
            matrix[:3, :3] = np.reshape(reader.GetDirection(), (3, 3)) * reader.GetSpacing()
            matrix[:3, 3] = reader.GetOrigin()
    return size, matrix


def read_nrrd(path: Path, stack: bool = False) -> NrrdImage:
    """Read a volume.

    Args:
        path: the file; compressed as a whole with gzip or not.
        stack: accept four dimensions, and return the last as values per voxel.

    Raises:
        DatasetError: truncated, not 3D, or the values are in another file.
        RuntimeError: ITK cannot read it.
    """
    with plain(path, _promised(path)) as file:
        header = nrrd_fields(file)
        check_header(header, path)
        if damaged(file):
            raise EOFError
        if lost := orientation_lost(header):
            with _without_geometry(file) as copy:
                image = sitk.ReadImage(str(copy))
        else:
            image = sitk.ReadImage(str(file))
    fields = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    raw = sitk.GetArrayFromImage(image)
    if lost:
        grid = place(np.zeros((1, 1, 1), np.uint8), orthonormal(_stated(header), str(path))[0])
        values = np.moveaxis(raw, 0, -1) if image.GetDimension() == 4 else raw
        return NrrdImage(_volume(path, values, image, stack), grid, fields, lost)
    if stack and image.GetDimension() == 4:
        first = sitk.Extract(image, [*image.GetSize()[:3], 0], [0, 0, 0, 0])
        return NrrdImage(np.moveaxis(raw, 0, -1), first, fields)
    return NrrdImage(_volume(path, raw, image, stack), image, fields)


def _volume(path: Path, values: np.ndarray, image: sitk.Image, stack: bool) -> np.ndarray:
    """Return the values of a volume; of four dimensions only if they are accepted."""
    if image.GetDimension() not in ((3, 4) if stack else (3,)):
        raise DatasetError(not_a_volume(path, image.GetSize()))
    return values


@contextmanager
def _without_geometry(path: Path) -> Iterator[Path]:
    """Return a temporary copy without the header's lines on geometry."""
    head, _, values = re.split(rb"(\r?\n\r?\n)", path.read_bytes(), maxsplit=1)
    kept = [line for line in head.splitlines() if not _GEOMETRY.match(line)]
    with tempfile.TemporaryDirectory(prefix="nnunet-plugins.") as scratch:
        copy = Path(scratch) / "volume.nrrd"
        copy.write_bytes(b"\n".join(kept) + b"\n\n" + values)
        yield copy


def _stated(fields: Mapping[str, str]) -> np.ndarray:
    """Return the spacing and axes that a header without orientation states, in a space without sides."""
    matrix = np.eye(4)
    vectors = re.findall(r"\(([^)]*)\)", fields.get("space directions", ""))
    numbers = [text for text in fields.get("spacings", "").split() if text.lower() != "nan"]
    try:
        if len(vectors) == 3:
            matrix[:3, :3] = np.array([[float(v) for v in text.split(",")] for text in vectors]).T
        elif len(numbers) == 3:
            matrix[:3, :3] = np.diag([float(text) for text in numbers])
    except ValueError:  # a damaged line, of a geometry that is not used
        return np.eye(4)
    return matrix


def _promised(path: Path) -> int:
    """Return the most bytes of the uncompressed file, which the file can hold."""
    fields = _fields(head(path, _HEAD))
    voxels = nrrd_voxels(fields)
    packed = is_gzip(path) or fields.get("encoding", "raw").lower() != "raw"
    if "data file" not in fields and "datafile" not in fields:
        check_promise(path, voxels, packed=packed)
    return most_bytes(8 * voxels + _HEAD)


def check_nrrd(path: Path) -> None:
    """Check a file of any rank before ITK reads it.

    Raises:
        DatasetError: its header promises more than it holds, or is not read, see `check_header`.
        EOFError: truncated, or a wrong checksum.
    """
    _promised(path)
    check_header(_fields(head(path, _HEAD)), path)
    if damaged(path):
        raise EOFError("truncated")


def nrrd_fields(path: Path) -> dict[str, str]:
    """Return the fields of the header, with names in lower case.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        return _fields(stream.read(_HEAD))


def _fields(start: bytes) -> dict[str, str]:
    text = re.split(rb"\r?\n\r?\n", start, maxsplit=1)[0].decode("latin-1")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    pairs = [line.partition(":") for line in lines if ":" in line and ":=" not in line]
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def check_header(fields: Mapping[str, str], path: Path) -> None:
    """Reject a header of a detached file, with bzip2, or in another unit than mm."""
    long = [name for name in fields if name not in _FREE_TEXT and len(fields[name]) > _LONGEST]
    if long:  # ITK would crash
        raise DatasetError(
            f"{path}: the field {long[0][:50]!r} of its header has {len(fields[long[0]])} characters, allowed are "
            f"{_LONGEST}; the file is damaged: export it again"
        )
    if "data file" in fields or "datafile" in fields:
        raise DatasetError(
            f"{path}: its values are in another file; save it as one .nrrd or .nii.gz file"
        )
    if fields.get("encoding", "").lower() in ("bz2", "bzip2"):
        raise DatasetError(
            f"{path}: its values are compressed with bzip2, which is not read; save it with gzip or uncompressed"
        )
    units = {
        unit.strip().lower() for unit in re.findall(r'"([^"]*)"', fields.get("space units", ""))
    }
    foreign = sorted(units - _MM - {""})
    if foreign:  # ITK ignores the unit
        raise DatasetError(
            f"{path}: its unit of length is {', '.join(foreign)} (space units); save it in mm"
        )


def orientation_lost(fields: Mapping[str, str]) -> str:
    """Return why a header gives no orientation; empty if it gives one.

    >>> orientation_lost({"space": "scanner-xyz", "space directions": "(1,0,0) (0,1,0) (0,0,1)"})[:51]
    "its space is 'scanner-xyz', which does not name the"
    """
    if fields.get("dimension") in ("1", "2"):
        return ""  # reported with its size by the readers
    missing = [name for name in ("space", "space directions") if not fields.get(name)]
    if missing:
        return f"its header has no orientation (no {' and no '.join(repr(n) for n in missing)})"
    if fields["space"].lower() not in _SPACES:
        return (
            f"its space is {fields['space']!r}, which does not name the sides of the body (allowed: "
            f"{', '.join(_SPACES[::2])})"
        )
    return ""


def no_sides(path: Path, lost: str) -> str:
    """Return the message for a volume without orientation."""
    return f"{path}: {lost}, so left and right are unknown; export it again with orientation"
