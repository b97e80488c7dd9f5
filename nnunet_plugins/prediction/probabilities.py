"""Probabilities on the image's grid, through files: the memory holds one class or one slab at a time."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnunet_plugins.prediction.label_maps import Grids
from nnunet_plugins.prediction.uncertainty import entropy_of

_SLAB = 8_000_000  # values that are normalised at a time


@dataclass(frozen=True)
class Stored:
    """Probabilities (heads, A, B, C) of the cropped image, float32, in a file.

    Attributes:
        file: the values in C order.
        shape: (heads, A, B, C).
    """

    file: Path
    shape: tuple[int, ...]

    def classes(self) -> Iterator[NDArray[np.float32]]:
        """Yield the probabilities (A, B, C) of each class."""
        count = int(np.prod(self.shape[1:]))
        with self.file.open("rb") as stream:
            for _ in range(self.shape[0]):
                found = np.fromfile(stream, np.float32, count)
                yield found.reshape(self.shape[1:])


def store(rows: Iterable[Tensor], grids: Grids, out: NDArray[Any], folder: Path,
          entropy: NDArray[Any] | None = None) -> Stored:  # fmt: skip
    """Write probabilities to a file, and the label map that nnU-Net makes of them.

    Args:
        rows: slabs of logits, as for `label_maps.label_map`.
        grids: of the case.
        out: array of the shape ``grids.shape`` for the labels; may be a view.
        folder: for the file, and for the logits meanwhile.
        entropy: array of the same shape for `entropy_of`; None without it.
    """
    logits = grids.whole(rows)
    file, kind = folder / "logits", np.dtype(np.float32)
    with file.open("wb") as stream:
        for values in logits.numpy():
            found = grids.one_class(values)
            kind = found.dtype
            stream.write(np.ascontiguousarray(found).data)
    shape = (len(logits), *grids.shape)
    del logits
    target = folder / "probabilities"
    plane = int(np.prod(shape[2:]))
    step = max(1, _SLAB // (shape[0] * plane))
    with file.open("rb") as stream, target.open("wb") as sink:
        for low in range(0, shape[1], step):
            part = slice(low, min(low + step, shape[1]))
            size = (part.stop - low) * plane
            slab = np.empty((shape[0], part.stop - low, *shape[2:]), kind)
            for number, one in enumerate(slab):
                place = number * shape[1] * plane + low * plane
                stream.seek(place * kind.itemsize)
                one[...] = np.fromfile(stream, kind, size).reshape(one.shape)
            found = grids.labels.apply_inference_nonlin(torch.from_numpy(slab))
            out[part] = grids.labels.convert_probabilities_to_segmentation(found).numpy()
            if entropy is not None:
                entropy[part] = entropy_of(found, regions=grids.labels.has_regions).numpy()
            for number, one in enumerate(found.numpy()):
                sink.seek((number * shape[1] * plane + low * plane) * 4)
                sink.write(np.ascontiguousarray(one, np.float32).data)
    file.unlink()
    return Stored(target, shape)


def write_npz(classes: Iterable[NDArray[np.float32]], target: Path, shape: Sequence[int]) -> None:
    """Write probabilities as nnU-Net's `.npz` file, one class at a time.

    Args:
        classes: maps (z, y, x) of the whole image.
        target: the file.
        shape: (classes, z, y, x).
    """
    header = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)),
        "fortran_order": False,
        "shape": tuple(shape),
    }
    with (
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("probabilities.npy", "w", force_zip64=True) as stream,
    ):
        np.lib.format.write_array_header_1_0(stream, header)
        for one in classes:
            stream.write(np.ascontiguousarray(one).data)
