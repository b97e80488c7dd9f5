"""Read NIfTI with nibabel.

ITK reads zeros for the missing end of a truncated file, turns NaN into 0, hides scale factors, and
silently chooses between contradicting orientations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.gzip_content import content, head, is_gzip, named_wrong
from dataset_conversion.io.metaimage import not_a_volume
from dataset_conversion.io.promised_size import NIFTI_HEAD, check_promise, most_bytes, nifti_bytes

_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])  # NIfTI's RAS+ to LPS
_APART = 0.1  # voxels by which the header's two matrices may differ without a note
_SAME_WAY = 0.7  # least cosine between their axes


@dataclass(frozen=True)
class NiftiImage:
    """Stored values (z, y, x) or (z, y, x, n), the 4 x 4 matrix to LPS mm, scale factors, and a note if any.

    `lost` says why the header gives no orientation, and is empty if it gives one.
    """

    raw: np.ndarray
    matrix: np.ndarray
    slope: float
    offset: float
    note: str | None
    lost: str = ""


def read_nifti_header(path: Path) -> tuple[tuple[int, ...], np.ndarray]:
    """Return the size (x, y, z and possibly more) and the 4 x 4 matrix to LPS mm."""
    _promised(path)
    image = parse_nifti(path) if named_wrong(path) else nib.load(path)
    return tuple(image.shape), _FLIP @ image.affine


def read_nifti(path: Path, stack: bool = False) -> NiftiImage:
    """Read a three-dimensional volume.

    Args:
        path: the file.
        stack: accept a fourth dimension and return it last, (z, y, x, n).

    Raises:
        DatasetError: colour, complex values, 4D, 2D, or contradicting orientations.
        Exception: anything that nibabel raises for damaged bytes.
    """
    image = parse_nifti(path)
    header = image.header
    kind = header.get_data_dtype()
    if kind.fields is not None:
        raise DatasetError(colour(path, len(kind.fields)))
    if kind.kind == "c":
        raise DatasetError(f"{path}: complex values; export magnitude values")
    shape = tuple(image.shape)
    if len(shape) > 3 and max(shape[3:]) == 1:
        shape = shape[:3]
    if len(shape) == 5 and shape[3] == 1:  # a vector per voxel, as ITK writes colour
        shape = shape[:3] + shape[4:]
        if not stack:
            raise DatasetError(colour(path, shape[3]))
    if len(shape) > 3 + stack:
        raise DatasetError(
            f"{path}: {len(shape)}D with {shape[3]} volumes ({'x'.join(map(str, shape))}); 4D: "
            f"choose volume k (0 to {shape[3] - 1}) and save it as a separate file"
        )
    if len(shape) < 3 or min(shape) < 1:
        raise DatasetError(not_a_volume(path, shape))
    unit = header.get_xyzt_units()[0]
    if unit not in ("mm", "unknown"):  # ITK would scale by it, nibabel does not
        raise DatasetError(f"{path}: its unit of length is {unit} (xyzt_units); save it in mm")
    lost = _lost(header)
    note = None if lost else _check_orientation(path, header, shape[:3])
    # Not from the header: nibabel removes the scale factors from it on opening.
    slope, offset = float(image.dataobj.slope), float(image.dataobj.inter)
    raw = np.asarray(image.dataobj.get_unscaled()).reshape(shape)
    return NiftiImage(
        raw=np.ascontiguousarray(raw.T if len(shape) == 3 else raw.transpose(2, 1, 0, 3)).astype(
            raw.dtype.newbyteorder("="), copy=False
        ),
        matrix=np.diag([*header.get_zooms()[:3], 1.0]) if lost else _FLIP @ image.affine,
        slope=slope,
        offset=offset,
        note=note,
        lost=lost,
    )


def nifti_array(path: Path) -> np.ndarray:
    """Return scaled values (x, y, ...) in Fortran order; read-only if decompressed bytes need no scaling."""
    image = parse_nifti(path)
    proxy, stream = image.dataobj, image.file_map["image"].fileobj
    if not isinstance(stream, BytesIO) or (proxy.slope, proxy.inter) != (1.0, 0.0):
        return np.asarray(proxy)
    count = math.prod(proxy.shape)
    flat = np.frombuffer(stream.getvalue(), proxy.dtype, count, proxy.offset)
    values: np.ndarray = flat.reshape(proxy.shape, order="F")
    return values


def colour(path: Path, channels: int) -> str:
    """Return the message for a file with several values per voxel."""
    return (
        f"{path}: {channels} values per voxel (RGB or several channels); export one grey value or "
        "one label per voxel"
    )


def _lost(header: Any) -> str:
    if int(header["qform_code"]) or int(header["sform_code"]):
        return ""
    return "its header has no orientation (qform_code and sform_code are 0)"


def _check_orientation(path: Path, header: Any, shape: tuple[int, ...]) -> str | None:
    """Raise if qform and sform contradict each other; note a small difference.

    With both present, nibabel uses the sform and other programs the qform.
    """
    if not (int(header["qform_code"]) and int(header["sform_code"])):
        return None
    one, two = header.get_qform(), header.get_sform()
    ways = [matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0) for matrix in (one, two)]
    if not (np.sum(ways[0] * ways[1], axis=0) > _SAME_WAY).all():
        axes = ["".join(map(str, nib.aff2axcodes(matrix))) for matrix in (one, two)]
        raise DatasetError(
            f"{path}: its header has two orientations (qform {axes[0]}, sform "
            f"{axes[1]}), so left and right are unknown; export it again"
        )
    ends = np.array([(0, n - 1) for n in shape], float)
    corners = np.array(np.meshgrid(*ends)).reshape(3, -1)
    off = np.abs((one - two) @ np.vstack([corners, np.ones(corners.shape[1])]))[:3]
    if off.max() <= _APART * float(min(header.get_zooms()[:3])):
        return None
    return f"qform and sform differ by up to {off.max():.1f} mm: the sform is used"


def _promised(path: Path) -> int:
    """Return the bytes that the header promises, which the file can hold."""
    promised = nifti_bytes(head(path, NIFTI_HEAD))
    check_promise(path, promised, packed=is_gzip(path))
    return promised


def parse_nifti(path: Path) -> Any:
    """Open a NIfTI file; a compressed one is decompressed to its end, which checks the CRC.

    Content decides on the compression, not the name.
    """
    if not (is_gzip(path) or named_wrong(path)):
        _promised(path)
        return nib.load(path)
    whole = content(path, most_bytes(_promised(path)))
    second = b"n+2" in whole[4:8]
    return (nib.Nifti2Image if second else nib.Nifti1Image).from_bytes(whole)
