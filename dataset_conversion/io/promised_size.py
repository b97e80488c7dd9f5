"""The size that a header promises, which bounds what is read: a small file may unpack to many gigabytes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import nibabel as nib

from dataset_conversion.errors import DatasetError

NIFTI_HEAD = 540  # bytes of the longer of both headers
_SLACK = 1 << 20  # bytes that may follow the values
_RATIO = 1100  # of deflate, at most
_SMALL = 1 << 26  # bytes below which the reader itself notices a wrong size


def nifti_bytes(start: bytes) -> int:
    """Return the length of an uncompressed NIfTI file by its first `NIFTI_HEAD` bytes.

    Raises:
        Exception: anything that nibabel raises for a damaged header.
    """
    kind = nib.Nifti2Header if b"n+2" in start[4:8] else nib.Nifti1Header
    # Not from_fileobj: it reads the extensions too, which may be longer than the start.
    header = kind(start[: kind.sizeof_hdr], check=False)
    count = math.prod(int(n) for n in header.get_data_shape())
    return int(float(header["vox_offset"])) + count * int(header.get_data_dtype().itemsize)


def nrrd_voxels(fields: Mapping[str, str]) -> int:
    """Return the number of values of an NRRD file by the fields of its header; 0 if they are damaged.

    >>> nrrd_voxels({"sizes": "10 10 2"}), nrrd_voxels({"sizes": "ten"})
    (200, 0)
    """
    try:
        return math.prod(int(n) for n in fields["sizes"].split())
    except (KeyError, ValueError):
        return 0


def most_bytes(promised: int) -> int:
    """Return how many bytes to unpack at most."""
    return promised + _SLACK


def check_promise(path: Path, promised: int, *, packed: bool, data: Path | None = None) -> None:
    """Reject a header that promises more than its file can hold.

    `promised` are the bytes of the values, which may be in another file, `data`. `packed`: compressed with
    deflate.
    """
    file = data or path
    if not file.is_file():  # reported by the reader
        return
    size = file.stat().st_size
    most = size * _RATIO if packed else size
    if promised > max(most, _SMALL):
        raise DatasetError(
            f"{path}: is truncated or damaged: its header promises {_shown(promised)}, but the file of "
            f"{_shown(size)} holds {_shown(most)} at most; copy or export it again"
        )


def too_much(path: Path, most: int) -> DatasetError:
    """Return the error for a file that unpacks to more than its header promises."""
    return DatasetError(
        f"{path}: unpacks to more than the {_shown(most - _SLACK)} that its header promises; copy or export it again"
    )


def _shown(size: int) -> str:
    for unit, bits in (("TiB", 40), ("GiB", 30), ("MiB", 20)):
        if size >= 1 << bits:
            return f"{size / 2**bits:.1f} {unit}"
    return f"{size} bytes"
