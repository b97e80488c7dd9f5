"""Probabilities on the image's grid, through files: the memory holds one class or one slab at a time."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnunet_plugins.prediction.label_maps import Grids

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
    logits = torch.cat(list(rows), 1)
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


def entropy_of(probabilities: Tensor, *, regions: bool) -> Tensor:
    r"""Entropy of the predicted distribution in nats; with regions, the largest binary entropy of a region.

    Args:
        probabilities: (heads, \*S).
        regions: whether each head is a region of its own, instead of one of several classes.

    >>> entropy_of(torch.tensor([[0.5], [0.5]]), regions=False)
    tensor([0.6931])
    """
    if not regions:
        entropy: Tensor = torch.special.entr(probabilities).sum(0)
        return entropy
    both: Tensor = torch.special.entr(probabilities) + torch.special.entr(1 - probabilities)
    return both.amax(0)


def write_npz(
    stored: Stored,
    target: Path,
    shape: tuple[int, ...],
    place: Callable[[NDArray[np.float32], float], NDArray[np.float32]],
    *,
    regions: bool,
) -> None:
    """Write probabilities as nnU-Net's `.npz` file, one class at a time.

    Args:
        stored: of the cropped image.
        target: the file.
        shape: of the whole image.
        place: puts a class into the whole image, given its value outside of the crop.
        regions: whether there is no background class, which has the probability 1 outside of the crop.
    """
    header = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)),
        "fortran_order": False,
        "shape": (stored.shape[0], *shape),
    }
    with (
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("probabilities.npy", "w", force_zip64=True) as stream,
    ):
        np.lib.format.write_array_header_1_0(stream, header)
        for number, one in enumerate(stored.classes()):
            outside = 1.0 if number == 0 and not regions else 0.0
            stream.write(np.ascontiguousarray(place(one, outside)).data)
