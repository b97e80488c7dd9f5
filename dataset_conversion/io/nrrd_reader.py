"""Read NRRD with ITK, which takes any missing orientation for the identity.

Format: http://teem.sourceforge.net/nrrd/format.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.gzip_content import plain
from dataset_conversion.io.metaimage import not_a_volume
from dataset_conversion.io.nrrd_integrity import damaged

_HEAD = 1 << 20  # bytes within which a header must end
# Spaces whose axes are named after the body; the others, such as scanner-xyz, name no side.
_SPACES = ("left-posterior-superior", "lps", "right-anterior-superior", "ras",
           "left-anterior-superior", "las")  # fmt: skip
_MM = frozenset(("mm", "millimeter", "millimeters", "millimetre", "millimetres"))
_LONGEST = 500  # characters of a field
_FREE_TEXT = frozenset(("content", "labels"))


@dataclass(frozen=True)
class NrrdImage:
    """Stored values (z, y, x), or (z, y, x, n) for n values per voxel; a volume with the geometry; fields."""

    raw: np.ndarray
    grid: sitk.Image
    fields: dict[str, str]


def read_nrrd_header(path: Path) -> tuple[tuple[int, ...], np.ndarray]:
    """Return the size (x, y, z and possibly more) and the 4 x 4 matrix to LPS mm.

    Raises:
        DatasetError: the header gives no orientation, or the values are in another file.
        RuntimeError: ITK cannot read it.
    """
    with plain(path) as file:
        check_header(nrrd_fields(file), path)
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
        DatasetError: truncated, not 3D, no orientation, or the values are in another file.
        RuntimeError: ITK cannot read it.
    """
    with plain(path) as file:
        check_header(nrrd_fields(file), path)
        if damaged(file):
            raise EOFError
        image = sitk.ReadImage(str(file))
    fields = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    raw = sitk.GetArrayFromImage(image)
    if stack and image.GetDimension() == 4:
        first = sitk.Extract(image, [*image.GetSize()[:3], 0], [0, 0, 0, 0])
        return NrrdImage(np.moveaxis(raw, 0, -1), first, fields)
    if image.GetDimension() != 3:
        raise DatasetError(not_a_volume(path, image.GetSize()))
    return NrrdImage(raw, image, fields)


def nrrd_fields(path: Path) -> dict[str, str]:
    """Return the fields of the header, with names in lower case.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        text = re.split(rb"\r?\n\r?\n", stream.read(_HEAD), maxsplit=1)[0].decode("latin-1")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    pairs = [line.partition(":") for line in lines if ":" in line and ":=" not in line]
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def check_header(fields: Mapping[str, str], path: Path) -> None:
    """Reject a header without a known orientation, in another unit than mm, or of a detached file.

    Raises:
        DatasetError: the message states what is missing.
    """
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
    if fields.get("dimension") in ("1", "2"):
        return  # reported with its size by the readers
    space = fields.get("space", "")
    missing = [name for name in ("space", "space directions") if not fields.get(name)]
    if missing:
        raise DatasetError(
            f"{path}: its header has no orientation (no {' and no '.join(repr(n) for n in missing)}), "
            "so left and right are unknown; export it again with orientation"
        )
    if space.lower() not in _SPACES:
        raise DatasetError(
            f"{path}: its space is {space!r}, which does not name the sides of the body, so left and "
            f"right are unknown (allowed: {', '.join(_SPACES[::2])}); export it again with orientation"
        )
    units = {
        unit.strip().lower() for unit in re.findall(r'"([^"]*)"', fields.get("space units", ""))
    }
    foreign = sorted(units - _MM - {""})
    if foreign:  # ITK ignores the unit
        raise DatasetError(
            f"{path}: its unit of length is {', '.join(foreign)} (space units); save it in mm"
        )
