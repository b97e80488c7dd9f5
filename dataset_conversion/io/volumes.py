"""Read one NIfTI, NRRD or MetaImage volume, with checks that ITK does not make."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.errors import NO_MEMORY, DatasetError
from dataset_conversion.io.file_names import check_name
from dataset_conversion.io.geometry import affine, like, orthonormal, place
from dataset_conversion.io.gzip_content import head, packed
from dataset_conversion.io.library_warnings import quiet_itk, quiet_nibabel
from dataset_conversion.io.metaimage import (
    check_data_file,
    not_a_volume,
    read_meta_header,
    read_meta_values,
)
from dataset_conversion.io.nifti_reader import colour, nifti_array, read_nifti, read_nifti_header
from dataset_conversion.io.nrrd_reader import check_nrrd, no_sides, read_nrrd, read_nrrd_header
from dataset_conversion.io.promised_size import check_promise

NIFTI = (".nii.gz", ".nii")
META = (".mha", ".mhd")
READABLE = (*NIFTI, ".nrrd", *META)
_ONE = np.zeros((1, 1, 1), np.uint8)
UNREADABLE = (".hdr", ".img", ".img.gz", ".nhdr", ".mgz", ".mgh", ".raw", ".zraw")


@dataclass(frozen=True)
class Volume:
    """A volume as stored.

    Attributes:
        raw: stored values (z, y, x), with layers of segments or volumes of a 4D file as a fourth axis.
        grid: a volume of one voxel with the geometry (LPS mm).
        slope: scale factor.
        offset: added after scaling.
        fields: text fields of an NRRD or MetaImage header; may contain a person's name.
        notes: for the user.
        lost: why the header gives no orientation, so that the grid's sides mean nothing; empty if it gives one.
    """

    raw: np.ndarray
    grid: sitk.Image
    slope: float
    offset: float
    fields: dict[str, str]
    notes: tuple[str, ...] = ()
    lost: str = ""

    @property
    def values(self) -> np.ndarray:
        """The scaled values (z, y, x)."""
        if (self.slope, self.offset) == (1.0, 0.0):
            return self.raw
        return self.raw.astype(np.float64) * self.slope + self.offset


def is_volume(path: Path) -> bool:
    """Return whether the file name ends like that of a supported volume."""
    return path.name.lower().endswith(READABLE)


def files_of(path: Path) -> tuple[Path, ...]:
    """Return the files of a volume: itself and, for a MetaImage header, its data file.

    Raises:
        DatasetError: the header is invalid, or the data file is missing.
    """
    if not path.name.lower().endswith(META):
        return (path,)
    try:
        data = read_meta_header(path).data
    except OSError as error:
        raise DatasetError(_broken(path, _reason(error))) from error
    if data is None:
        return (path,)
    check_data_file(path, data)
    return (path, data)


def data_files(paths: Iterable[Path]) -> set[Path]:
    """Return the data files of those volumes that are MetaImage headers."""
    return {file for path in paths for file in files_of(path)[1:]}


def read_volume(path: Path, stack: bool = False, unplaced: bool = False) -> Volume:
    """Read a three-dimensional volume.

    Args:
        path: the file.
        stack: accept four dimensions; the volumes become the last axis of `raw`.
        unplaced: accept a header without orientation.

    Raises:
        DatasetError: unreadable, truncated, NaN or inf, 4D, colour, sheared, no orientation.
    """
    try:
        with quiet_nibabel, quiet_itk:
            volume = _read(path, stack)
    except DatasetError:
        raise
    except EOFError as error:
        raise DatasetError(_broken(path, "is truncated or damaged")) from error
    except Exception as error:  # the libraries raise anything for damaged bytes
        raise DatasetError(_broken(path, _reason(error))) from error
    if volume.lost and not unplaced:
        raise DatasetError(no_sides(path, volume.lost))
    if volume.raw.dtype.kind == "f" and not np.isfinite(volume.raw).all():
        bad = int((~np.isfinite(volume.raw)).sum())
        raise DatasetError(
            f"{path}: {bad} voxels are NaN or inf; replace them (for CT by -1024) and export again"
        )
    return volume


@dataclass(frozen=True)
class Header:
    """A volume's size (x, y, z) and its 4 x 4 matrix from index to LPS mm, as stored."""

    size: tuple[int, int, int]
    matrix: np.ndarray

    @property
    def voxels(self) -> int:
        """Number of voxels."""
        return int(np.prod(self.size))

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Size of a voxel along x, y, z in mm."""
        x, y, z = np.linalg.norm(self.matrix[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def orientation(self) -> str:
        """Directions closest to x, y, z as ITK's code."""
        direction = self.matrix[:3, :3] / self.spacing
        code: str = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(
            direction.ravel().tolist()
        )
        return code


def header_of(image: sitk.Image) -> Header:
    """Return the header of a volume in memory."""
    x, y, z = image.GetSize()
    return Header((x, y, z), affine(image))


def read_header(path: Path) -> Header:
    """Read size and geometry of a volume, without its voxels.

    Raises:
        DatasetError: the header cannot be read, is not three-dimensional, or contains NaN or inf.
    """
    try:
        _check_format(path)
        if path.name.lower().endswith(NIFTI):
            with quiet_nibabel:
                size, matrix = read_nifti_header(path)
        elif path.name.lower().endswith(META):
            header = read_meta_header(path)
            check_promise(path, header.bytes, packed=header.packed, data=header.data)
            size, matrix = header.size, header.matrix
            if header.lost:
                raise DatasetError(no_sides(path, header.lost))
        else:
            with quiet_itk:
                size, matrix = read_nrrd_header(path)
    except DatasetError:
        raise
    except Exception as error:  # the libraries raise anything for damaged bytes
        raise DatasetError(_broken(path, _reason(error))) from error
    if len(size) == 5 and size[3] == 1 < size[4]:
        raise DatasetError(colour(path, size[4]))
    if len(size) < 3 or max(size[3:], default=1) != 1 or min(size) < 1:
        raise DatasetError(not_a_volume(path, size))
    if not np.isfinite(matrix).all():
        raise DatasetError(f"{path}: its affine contains NaN or inf; export the volume again")
    return Header((int(size[0]), int(size[1]), int(size[2])), matrix)


def stored_values(path: Path) -> np.ndarray | None:
    """Return scaled values (x, y, ...) of a file of any rank, in Fortran order; None if ITK may read them.

    ITK reads the missing end of a truncated NIfTI file, and NaN, as 0; a damaged MetaImage header crashes it. The
    values may be read-only.

    Raises:
        DatasetError: it is truncated, contains NaN or inf, or its header is outside of the readers' bounds.
    """
    try:
        with quiet_nibabel:
            values = _stored(path)
    except DatasetError:
        raise
    except Exception as error:  # the libraries raise anything for damaged bytes
        short = isinstance(error, MemoryError)
        raise DatasetError(
            _broken(path, NO_MEMORY if short else "is truncated or damaged")
        ) from error
    if values is not None and values.dtype.kind == "f" and not np.isfinite(values).all():
        raise DatasetError(f"{path}: {int((~np.isfinite(values)).sum())} voxels are NaN or inf")
    return values


def _stored(path: Path) -> np.ndarray | None:
    name = path.name.lower()
    if name.endswith(NIFTI):
        return nifti_array(path)
    if name.endswith(META):
        header = read_meta_header(path, ranks=(2, 3))
        check_promise(path, header.bytes, packed=header.packed, data=header.data)
        return np.transpose(read_meta_values(path, header))
    if name.endswith(".nrrd"):
        check_nrrd(path)
    return None


def read_image(path: Path) -> tuple[sitk.Image, tuple[str, ...]]:
    """Read an image of one channel with scaled values, and notes on what was corrected."""
    volume = read_volume(path)
    if volume.raw.ndim != 3:
        raise DatasetError(colour(path, volume.raw.shape[-1]))
    return like(volume.values, volume.grid), volume.notes


def _read(path: Path, stack: bool) -> Volume:
    _check_format(path)
    if path.name.lower().endswith(NIFTI):
        return _read_nifti(path, stack)
    return _read_meta(path) if path.name.lower().endswith(META) else _read_nrrd(path, stack)


def _check_format(path: Path) -> None:
    """Reject an empty file, and one whose content is another format than its name gives."""
    check_name(path)
    start = head(path, 348)
    if path.stat().st_size == 0:
        raise DatasetError(_broken(path, "is empty"))
    if kind := packed(path):
        raise DatasetError(
            f"{path}: its content is compressed as {kind}, not what its name says; unpack it"
        )
    found = ".nrrd" if start.startswith(b"NRRD") else ".nii" if start[344:347] == b"n+1" else None
    if found and found not in path.name.lower():
        raise DatasetError(
            f"{path}: its content is that of a {found} file; rename it to {path.name}{found}"
        )


def _read_nifti(path: Path, stack: bool) -> Volume:
    found = read_nifti(path, stack)
    matrix, note = orthonormal(found.matrix, str(path))
    notes = tuple(text for text in (found.note, note) if text)
    return Volume(found.raw, place(_ONE, matrix), found.slope, found.offset, {}, notes, found.lost)


def _read_meta(path: Path) -> Volume:
    header = read_meta_header(path)
    matrix, note = orthonormal(header.matrix, str(path))
    raw = read_meta_values(path, header)
    notes = (note,) if note else ()
    return Volume(raw, place(_ONE, matrix), 1.0, 0.0, header.fields, notes, header.lost)


def _read_nrrd(path: Path, stack: bool) -> Volume:
    found = read_nrrd(path, stack)
    matrix, note = orthonormal(affine(found.grid), str(path))
    grid = place(_ONE, matrix) if note else like(_ONE, found.grid)
    return Volume(found.raw, grid, 1.0, 0.0, found.fields, (note,) if note else (), found.lost)


def _broken(path: Path, reason: str) -> str:
    if reason == NO_MEMORY:
        return f"{path}: {reason}"
    return f"{path}: {reason}; copy or export it again"


def _reason(error: Exception) -> str:
    text = str(error)
    if isinstance(error, MemoryError) or "allocate memory" in text or "bad_alloc" in text:
        return NO_MEMORY
    short = ("expected", "got only", "not read", "Expected", "mmap length")
    if any(word in text for word in short) or "cannot be read" in text:
        return "is truncated or damaged"
    if isinstance(error, PermissionError):
        return "may not be read (permission denied)"
    return f"cannot be read ({' '.join(text.split())[-160:]})"
