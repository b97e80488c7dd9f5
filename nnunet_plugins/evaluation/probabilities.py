"""Probabilities that nnU-Net saves (--npz, --save_probabilities), read one class at a time."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from nnunet_plugins.errors import UserError

_ENTRY = "probabilities.npy"
_ROUNDING = 1e-3  # of values in half precision
_BROKEN = (OSError, EOFError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error)
_FIX = "predict again with --save_probabilities, or validate again (nnUNetv2_train ... --val --npz)"


def classes(path: Path) -> Iterator[NDArray[Any]]:
    """Yield the maps (z, y, x) of an .npz file, float32, in the order of the classes; one is in memory at a time.

    Raises:
        UserError: the file cannot be read, is not one of nnU-Net's, or holds values outside of 0 to 1.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open(_ENTRY) as stream:
            shape, dtype = _header(stream)
            size = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize
            for _ in range(shape[0]):
                content = stream.read(size)
                if len(content) != size:
                    raise ValueError("it ends early")
                found = np.frombuffer(content, dtype).reshape(shape[1:]).astype(np.float32)
                low, high = found.min(), found.max()
                if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):  # also NaN
                    raise ValueError(
                        f"it holds {low} to {high}, outside of 0 to 1; are these logits?"
                    )
                yield found
    except _BROKEN as error:
        raise UserError(f"{path}: probabilities cannot be read ({error}); {_FIX}") from error


def shape_of(path: Path) -> tuple[int, ...]:
    """Shape (classes, z, y, x) of the probabilities in an .npz file.

    Raises:
        UserError: the file cannot be read, or is not one of nnU-Net's.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open(_ENTRY) as stream:
            return _header(stream)[0]
    except _BROKEN as error:
        raise UserError(f"{path}: probabilities cannot be read ({error}); {_FIX}") from error


def _header(stream: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of the array that follows in a stream."""
    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if len(shape) != 4 or dtype.kind != "f" or fortran:
        raise ValueError(
            f"shape {shape}, type {dtype}, Fortran order {fortran}; expected (classes, z, y, x), floats in C order"
        )
    return shape, dtype
