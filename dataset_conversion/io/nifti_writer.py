"""Write one volume as .nii.gz, compressed, hashed and verified in one pass over its bytes.

The checksum of the written bytes is compared with that of the bytes read back, and ITK, which nnU-Net
reads with, must return the same geometry.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from isal import isal_zlib

from dataset_conversion.errors import DiskError, disk_error
from dataset_conversion.io.geometry import affine

_LEVEL = 2  # 4 % larger than zlib's default level 6 on CT, in a tenth of its time
_BLOCK = 1 << 20
_GZIP = 31  # zlib's window of 32 KiB in gzip's format; its header has neither time nor name
_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])  # LPS to NIfTI's RAS+


def write_image(image: sitk.Image, path: Path, scratch: Path, mark: str = "") -> str:
    """Write a volume, read it back, compare, move it into place; return its SHA-256.

    Text fields of the volume's header are not written, as they may contain names.

    `scratch` is on the same disk; `mark` is a text of up to 79 characters for the header's description.

    Raises:
        DiskError: a full disk, or the bytes read back differ.
    """
    temporary = scratch / f"unfinished_{path.name}"
    try:
        sent, sum_sent = _send(image, temporary, mark)
        if _sum(temporary) != sum_sent or not _same_place(image, temporary):
            raise DiskError(f"{path}: the bytes read back differ; is the disk full or failing?")
        os.replace(temporary, path)
    except OSError as error:
        raise disk_error(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)
    return sent


def _send(image: sitk.Image, path: Path, mark: str = "") -> tuple[str, int]:
    """Write the compressed volume; return SHA-256 and CRC-32 of the written bytes."""
    array = sitk.GetArrayViewFromImage(image)
    content = np.ascontiguousarray(array).data.cast("B")
    packer = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _GZIP)
    found, crc = hashlib.sha256(), 0
    with path.open("wb") as stream:

        def send(packed: bytes) -> None:
            nonlocal crc
            crc = zlib.crc32(packed, crc)
            found.update(packed)
            stream.write(packed)

        send(packer.compress(_header(image, array.dtype, mark)))
        for start in range(0, len(content), _BLOCK):
            send(packer.compress(content[start : start + _BLOCK]))
        send(packer.flush())
        stream.flush()
        os.fsync(stream.fileno())
    return found.hexdigest(), crc


def _sum(path: Path) -> int:
    """Return the CRC-32 of a file, which takes a tenth of the time of SHA-256."""
    crc = 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            crc = zlib.crc32(block, crc)
    return crc


def _header(image: sitk.Image, dtype: np.dtype, mark: str) -> bytes:
    """Return the 352 bytes before the voxels, with the geometry as qform and as sform."""
    header = nib.Nifti1Header()
    header.set_data_shape(image.GetSize())
    header.set_data_dtype(dtype)
    header.set_xyzt_units("mm", "sec")
    matrix = _FLIP @ affine(image)
    header.set_qform(matrix, code=1)
    header.set_sform(matrix, code=1)
    header["vox_offset"] = 352
    header["scl_slope"], header["scl_inter"] = 1, 0
    header["magic"] = b"n+1"
    header["descrip"] = mark.encode("ascii")
    return bytes(header.binaryblock) + b"\0\0\0\0"  # no extensions


def _same_place(image: sitk.Image, path: Path) -> bool:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return False
    # NIfTI stores float32 quaternions.
    return (
        reader.GetSize() == image.GetSize()
        and reader.GetPixelID() == image.GetPixelID()
        and np.allclose(image.GetSpacing(), reader.GetSpacing(), rtol=1e-5, atol=0)
        and np.allclose(image.GetOrigin(), reader.GetOrigin(), rtol=1e-6, atol=1e-3)
        and np.allclose(image.GetDirection(), reader.GetDirection(), rtol=0, atol=1e-4)
    )
