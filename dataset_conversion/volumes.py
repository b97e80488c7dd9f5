"""Read one NIfTI, NRRD or MetaImage volume, with the checks that ITK leaves out.

NIfTI goes through nibabel: ITK reads zeros for the missing end of a truncated file, turns NaN
into 0 and hides scale factors.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from isal import igzip

from dataset_conversion.errors import DatasetError
from dataset_conversion.geometry import affine, like, orthonormal, place
from dataset_conversion.meta_image import read_meta_header, read_meta_values
from dataset_conversion.packed import damaged

NIFTI = (".nii.gz", ".nii")
READABLE = (*NIFTI, ".nrrd", ".mha")
_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])  # NIfTI's RAS+ to LPS
_ONE = np.zeros((1, 1, 1), np.uint8)
UNREADABLE = (".hdr", ".img", ".img.gz", ".mhd", ".nhdr", ".mgz", ".mgh", ".raw", ".zraw")


@dataclass(frozen=True)
class Volume:
    """A volume as stored: `raw` values (z, y, x), scale factors, geometry (LPS mm).

    `grid` is a volume of one voxel, for its geometry alone. `fields` are the header's text fields
    (NRRD and MetaImage); they may carry a person's name.
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
        meta = path.name.lower().endswith(".mha")
        volume = _read_nifti(path) if nifti else _read_meta(path) if meta else _read_itk(path)
    except DatasetError:
        raise
    except EOFError as error:
        raise DatasetError(_broken(path, "is truncated or damaged")) from error
    except Exception as error:  # damaged bytes make the libraries raise anything
        raise DatasetError(_broken(path, _reason(error))) from error
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
        """Voxels of one channel."""
        return int(np.prod(self.size))

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Of the voxels along x, y, z, in mm."""
        x, y, z = np.linalg.norm(self.matrix[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def orientation(self) -> str:
        """Where x, y, z run to, nearest, as ITK's code."""
        direction = self.matrix[:3, :3] / self.spacing
        code: str = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(
            direction.ravel().tolist()
        )
        return code


def header_of(image: sitk.Image) -> Header:
    """Return the size and the place of a volume in memory."""
    x, y, z = image.GetSize()
    return Header((x, y, z), affine(image))


def read_header(path: Path) -> Header:
    """Read where a volume lies and how large it is, and no voxels.

    Raises:
        DatasetError: the header cannot be read, or speaks of no three dimensions.
    """
    try:
        if path.name.lower().endswith(NIFTI):
            image = nib.load(path)
            size, matrix = tuple(image.shape), _FLIP @ image.affine
        elif path.name.lower().endswith(".mha"):
            header = read_meta_header(path)
            size, matrix = header.size, header.matrix
        else:
            reader = sitk.ImageFileReader()
            reader.SetFileName(str(path))
            reader.ReadImageInformation()
            size, matrix = reader.GetSize(), np.eye(4)
            if len(size) == 3:
                matrix[:3, :3] = np.reshape(reader.GetDirection(), (3, 3)) * reader.GetSpacing()
                matrix[:3, 3] = reader.GetOrigin()
    except DatasetError:
        raise
    except Exception as error:  # damaged bytes make the libraries raise anything
        raise DatasetError(_broken(path, _reason(error))) from error
    if len(size) == 5 and size[3] == 1 < size[4]:
        raise DatasetError(_colour(path, size[4]))
    if len(size) < 3 or max(size[3:], default=1) != 1 or min(size) < 1:
        raise DatasetError(
            f"{path}: size {'x'.join(map(str, size))}; a volume of three dimensions is needed (of "
            "a 4D file choose volume k and save it as a file of its own)"
        )
    return Header((int(size[0]), int(size[1]), int(size[2])), matrix)


def nifti_values(path: Path) -> np.ndarray:
    """Scaled values of a NIfTI file of any rank, (x, y, ...), the first axis the fastest.

    ITK would read what is missing of a truncated file, and NaN, as 0.

    Raises:
        DatasetError: it is truncated, or holds NaN or inf.
    """
    try:
        values = np.asarray(_parse_nifti(path).dataobj)
    except Exception as error:  # damaged bytes make the libraries raise anything
        raise DatasetError(_broken(path, "is truncated or damaged")) from error
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise DatasetError(f"{path}: {int((~np.isfinite(values)).sum())} voxels are NaN or inf")
    return values


def read_image(path: Path) -> tuple[sitk.Image, tuple[str, ...]]:
    """Read an image of one channel with its scaled values, and notes on what was mended."""
    volume = read_volume(path)
    if volume.raw.ndim != 3:
        raise DatasetError(_colour(path, volume.raw.shape[-1]))
    return like(volume.values, volume.grid), volume.notes


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
    if len(shape) == 5 and shape[3] == 1:  # a vector a voxel, as ITK writes colour
        raise DatasetError(_colour(path, shape[4]))
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
    if min(shape) < 1:
        raise DatasetError(f"{path}: size {'x'.join(map(str, shape))}; export the volume again")
    # Not from the header: nibabel takes the scale factors out of it when it opens a file.
    slope, offset = float(image.dataobj.slope), float(image.dataobj.inter)
    raw = np.asarray(image.dataobj.get_unscaled()).reshape(shape)
    matrix, note = orthonormal(_FLIP @ image.affine, str(path))
    return Volume(
        raw=np.ascontiguousarray(raw.T).astype(raw.dtype.newbyteorder("="), copy=False),
        grid=place(_ONE, matrix),
        slope=slope,
        offset=offset,
        fields={},
        notes=(note,) if note else (),
    )


def _parse_nifti(path: Path) -> Any:
    """Open a NIfTI file; a compressed one is unpacked to its end, which checks the CRC."""
    if not path.name.lower().endswith(".gz"):
        return nib.load(path)
    content = igzip.decompress(path.read_bytes())
    second = b"n+2" in content[4:8]
    return (nib.Nifti2Image if second else nib.Nifti1Image).from_bytes(content)


def _read_meta(path: Path) -> Volume:
    header = read_meta_header(path)
    matrix, note = orthonormal(header.matrix, str(path))
    raw = read_meta_values(path, header)
    return Volume(raw, place(_ONE, matrix), 1.0, 0.0, header.fields, (note,) if note else ())


def _read_itk(path: Path) -> Volume:
    if path.stat().st_size == 0:
        raise DatasetError(_broken(path, "is empty"))
    if damaged(path):
        raise DatasetError(_broken(path, "is truncated or damaged"))
    image = sitk.ReadImage(str(path))
    if image.GetDimension() != 3:
        kind = f"{image.GetDimension()}D"
        cure = "choose volume k and save it as a file of its own"
        raise DatasetError(f"{path}: {kind}, not 3D; {kind}: {cure}")
    matrix, note = orthonormal(affine(image), str(path))
    return Volume(
        raw=sitk.GetArrayFromImage(image),
        grid=place(_ONE, matrix) if note else like(_ONE, image),
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
