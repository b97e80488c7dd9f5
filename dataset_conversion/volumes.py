"""Read one NIfTI, NRRD or MetaImage volume, with the checks that ITK leaves out.

NIfTI goes through nibabel: ITK reads zeros for the missing end of a truncated file, turns NaN
into 0 and hides scale factors.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from nibabel.filebasedimages import ImageFileError

from dataset_conversion.errors import DatasetError
from dataset_conversion.geometry import orthonormal, place

NIFTI = (".nii.gz", ".nii")
READABLE = (*NIFTI, ".nrrd", ".mha")
UNREADABLE = (".hdr", ".img", ".img.gz", ".mhd", ".nhdr", ".mgz", ".mgh", ".raw", ".zraw")


@dataclass(frozen=True)
class Volume:
    """A volume as stored: `raw` values (z, y, x), scale factors, geometry (LPS mm).

    `fields` are the header's text fields (NRRD and MetaImage); they may carry a person's name.
    """

    raw: np.ndarray
    grid: sitk.Image
    slope: float
    offset: float
    fields: dict[str, str]
    notes: tuple[str, ...] = ()

    @property
    def values(self) -> np.ndarray:
        """The scaled values (z, y, x)."""
        if (self.slope, self.offset) == (1.0, 0.0):
            return self.raw
        return self.raw.astype(np.float64) * self.slope + self.offset


def is_volume(path: Path) -> bool:
    """Say whether the name ends like a volume that can be read here."""
    return path.name.lower().endswith(READABLE)


def read_volume(path: Path) -> Volume:
    """Read a volume of three dimensions; `raw` may have segments' layers as a fourth axis.

    Raises:
        DatasetError: cannot be read, truncated, NaN or inf, 4D, colour, sheared, no orientation.
    """
    try:
        nifti = path.name.lower().endswith(NIFTI)
        volume = _read_nifti(path) if nifti else _read_itk(path)
    except DatasetError:
        raise
    except (EOFError, zlib.error) as error:
        raise DatasetError(_broken(path, "is truncated or damaged")) from error
    except (OSError, RuntimeError, ImageFileError, ValueError) as error:
        raise DatasetError(_broken(path, _reason(error))) from error
    if volume.raw.dtype.kind == "f" and not np.isfinite(volume.raw).all():
        bad = int((~np.isfinite(volume.raw)).sum())
        raise DatasetError(
            f"{path}: {bad} voxels are NaN or inf; replace them (for CT by -1024) and export again"
        )
    return volume


def check_nifti(path: Path) -> None:
    """Stop at a NIfTI file of any rank that is truncated or holds NaN, both of which ITK reads as 0.

    Raises:
        DatasetError: which of the two.
    """
    try:
        values = np.asarray(_parse_nifti(path).dataobj)
    except (EOFError, zlib.error, OSError, ImageFileError, ValueError) as error:
        raise DatasetError(_broken(path, "is truncated or damaged")) from error
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise DatasetError(f"{path}: {int((~np.isfinite(values)).sum())} voxels are NaN or inf")


def read_image(path: Path) -> tuple[sitk.Image, tuple[str, ...]]:
    """Read an image of one channel with its scaled values, and notes on what was mended."""
    volume = read_volume(path)
    if volume.raw.ndim != 3:
        raise DatasetError(_colour(path, volume.raw.shape[-1]))
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.values))
    image.CopyInformation(volume.grid)
    return image, volume.notes


def _read_nifti(path: Path) -> Volume:
    image = _parse_nifti(path)
    header = image.header
    if header.get_data_dtype().fields is not None:
        raise DatasetError(_colour(path, len(header.get_data_dtype().fields)))
    if header.get_data_dtype().kind == "c":
        raise DatasetError(f"{path}: complex values; export magnitude values")
    shape = tuple(image.shape)
    if len(shape) > 3 and max(shape[3:]) == 1:
        shape = shape[:3]
    if len(shape) > 3:
        raise DatasetError(
            f"{path}: {len(shape)}D with {shape[3]} volumes ({'x'.join(map(str, shape))}); 4D: "
            f"choose volume k (0 to {shape[3] - 1}) and save it as a file of its own"
        )
    if len(shape) < 3:
        raise DatasetError(f"{path}: {len(shape)}D; a volume of three dimensions is needed")
    if int(header["qform_code"]) == 0 and int(header["sform_code"]) == 0:
        raise DatasetError(
            f"{path}: its header says nothing of orientation (qform_code and sform_code are 0), "
            "so left and right cannot be known; export it again with orientation"
        )
    # Not from the header: nibabel takes the scale factors out of it when it opens a file.
    slope, offset = float(image.dataobj.slope), float(image.dataobj.inter)
    raw = np.asarray(image.dataobj.get_unscaled()).reshape(shape)
    matrix = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine  # RAS+ to LPS
    matrix, note = orthonormal(matrix, str(path))
    return Volume(
        raw=np.ascontiguousarray(raw.T).astype(raw.dtype.newbyteorder("="), copy=False),
        grid=place(np.zeros(shape[::-1], np.uint8), matrix),
        slope=slope,
        offset=offset,
        fields={},
        notes=(note,) if note else (),
    )


def _parse_nifti(path: Path) -> Any:
    """Open a NIfTI file; a compressed one is unpacked to its end, which checks the CRC."""
    if not path.name.lower().endswith(".gz"):
        return nib.load(path)
    with gzip.open(path) as stream:
        content = stream.read()
    second = b"n+2" in content[4:8]
    return (nib.Nifti2Image if second else nib.Nifti1Image).from_bytes(content)


def _read_itk(path: Path) -> Volume:
    if path.stat().st_size == 0:
        raise DatasetError(_broken(path, "is empty"))
    image = sitk.ReadImage(str(path))
    if image.GetDimension() != 3:
        kind = f"{image.GetDimension()}D"
        cure = "choose volume k and save it as a file of its own"
        raise DatasetError(f"{path}: {kind}, not 3D; {kind}: {cure}")
    grid = sitk.Image(image.GetSize(), sitk.sitkUInt8)
    grid.SetSpacing(image.GetSpacing())
    grid.SetDirection(image.GetDirection())
    grid.SetOrigin(image.GetOrigin())
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.asarray(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    matrix, note = orthonormal(matrix, str(path))
    return Volume(
        raw=sitk.GetArrayFromImage(image),
        grid=place(sitk.GetArrayViewFromImage(grid), matrix) if note else grid,
        slope=1.0,
        offset=0.0,
        fields={key: image.GetMetaData(key) for key in image.GetMetaDataKeys()},
        notes=(note,) if note else (),
    )


def _colour(path: Path, channels: int) -> str:
    return (
        f"{path}: {channels} values a voxel (RGB or several channels); export one grey value or "
        "one label a voxel"
    )


def _broken(path: Path, reason: str) -> str:
    return f"{path}: {reason}; copy or export it again"


def _reason(error: Exception) -> str:
    text = str(error)
    short = ("expected", "got only", "not read", "Expected", "mmap length")
    if any(word in text for word in short) or "cannot be read" in text:
        return "is truncated or damaged"
    if isinstance(error, PermissionError):
        return "may not be read (permission denied)"
    return f"cannot be read ({' '.join(text.split())[-160:]})"
