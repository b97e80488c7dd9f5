"""Faults of NIfTI and MetaImage files; each function damages one file."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import SimpleITK as sitk

from dataset_conversion.io.geometry import affine, like, place

Harm = Callable[[Path], None]


def truncated(path: Path) -> None:
    """Cut off a third of the bytes."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


def flipped_bits(path: Path) -> None:
    """Invert three bytes of the compressed values."""
    content = bytearray(path.read_bytes())
    for share in (0.5, 0.7, 0.9):
        content[int(share * len(content))] ^= 0xFF
    path.write_bytes(bytes(content))


def no_bytes(path: Path) -> None:
    """Empty the file."""
    path.write_bytes(b"")


def text(path: Path) -> None:
    """Replace it by the reply of a web server."""
    path.write_bytes(b"<html><body>404 not found</body></html>\n")


def litter(path: Path) -> None:
    """Add the hidden files of macOS and Windows, and of an interrupted copy."""
    folder = path.parent
    ending = "".join(path.suffixes) or ".dcm"
    (folder / f"._{path.name}").write_bytes(b"\0\5\x16\7")
    (folder / f"{path.stem}.tmp{ending}").write_bytes(b"half a file")
    (folder / ".DS_Store").write_bytes(b"Bud1")
    (folder / "Thumbs.db").write_bytes(b"\0")


def _values(change: Callable[[np.ndarray], np.ndarray]) -> Harm:
    """Make a fault of a change of the values (z, y, x)."""

    def harm(path: Path) -> None:
        image = sitk.ReadImage(str(path))
        sitk.WriteImage(like(change(sitk.GetArrayFromImage(image)), image), str(path), True)

    return harm


def _with(array: np.ndarray, value: float) -> np.ndarray:
    """Return an array with a value in the middle."""
    result = array.astype(np.float32)
    result[tuple(n // 2 for n in result.shape)] = value
    return result


not_a_number = _values(partial(_with, value=np.nan))
infinite = _values(partial(_with, value=np.inf))
#: Only background.
empty = _values(np.zeros_like)
#: Labels such as 0.9999, as after float arithmetic.
almost_whole = _values(lambda array: np.where(array > 0, array - 1e-4, 0).astype(np.float32))


@_values
def strange_label(array: np.ndarray) -> np.ndarray:
    """Replace some labelled voxels by a label of no scheme."""
    found = np.argwhere(array > 0)
    array[tuple(found[: max(1, len(found) // 50)].T)] = 60
    return array


@_values
def negative_label(array: np.ndarray) -> np.ndarray:
    """One voxel is -1."""
    result = array.astype(np.int16)
    result[0, 0, 0] = -1
    return result


@_values
def fractions(array: np.ndarray) -> np.ndarray:
    """Labels blurred by linear resampling."""
    blurred: np.ndarray = array.astype(np.float32)
    blurred[..., 1:] = 0.5 * (blurred[..., 1:] + blurred[..., :-1])
    return blurred


@_values
def grey_values(array: np.ndarray) -> np.ndarray:
    """An image under the mask's name."""
    return np.random.default_rng(0).integers(0, 2000, array.shape).astype(np.int16)


def colour(path: Path) -> None:
    """Three values per voxel."""
    image = sitk.ReadImage(str(path))
    array = (sitk.GetArrayFromImage(image).astype(int) % 256).astype(np.uint8)
    rgb = sitk.GetImageFromArray(np.stack([array] * 3, axis=-1), isVector=True)
    rgb.CopyInformation(image)
    sitk.WriteImage(rgb, str(path), True)


def four_dimensional(path: Path) -> None:
    """Two volumes in one file."""
    image = sitk.ReadImage(str(path))
    sitk.WriteImage(sitk.JoinSeries([image, image]), str(path), True)


def scaled(path: Path) -> None:
    """A scale factor of 2 in the header."""
    image: Any = nib.load(path)
    damaged = nib.Nifti1Image(np.asarray(image.dataobj), image.affine, image.header)
    damaged.header.set_slope_inter(2, 0)
    nib.save(damaged, path)
    again = nib.load(path)
    if again.dataobj.slope != 2:  # nibabel chose another
        raise RuntimeError("the scale factor was not written")


def flipped(path: Path) -> None:
    """The same voxels stored in another order, with a matching direction."""
    image = sitk.ReadImage(str(path))
    sitk.WriteImage(sitk.Flip(image, [False, True, True]), str(path), True)


def _placed(change: Callable[[np.ndarray], np.ndarray]) -> Harm:
    """Make a fault of a change of the affine to LPS mm."""

    def harm(path: Path) -> None:
        image = sitk.ReadImage(str(path))
        sitk.WriteImage(
            place(sitk.GetArrayFromImage(image), change(affine(image))), str(path), True
        )

    return harm


#: 5 mm off along x.
shifted = _placed(lambda matrix: matrix + 5.0 * np.outer((1, 0, 0, 0), (0, 0, 0, 1)))
#: 1 % larger voxels.
other_spacing = _placed(lambda matrix: matrix @ np.diag([1.01, 1.01, 1.01, 1.0]))


def coarser(path: Path) -> None:
    """A different grid over the same region, with voxels 1.5 times as large in plane."""
    image = sitk.ReadImage(str(path))
    factors = [1.0 if s == max(image.GetSpacing()) else 1.5 for s in image.GetSpacing()]
    if len(set(image.GetSpacing())) == 1:
        factors = [1.5] * 3
    size = [int(n / f) for n, f in zip(image.GetSize(), factors, strict=True)]
    spacing = [s * f for s, f in zip(image.GetSpacing(), factors, strict=True)]
    first = [0.5 * (f - 1) for f in factors]
    grid = sitk.Image(size, image.GetPixelID())
    grid.SetSpacing(spacing)
    grid.SetDirection(image.GetDirection())
    grid.SetOrigin(image.TransformContinuousIndexToPhysicalPoint(first))
    sitk.WriteImage(
        sitk.Resample(image, grid, sitk.Transform(), sitk.sitkNearestNeighbor), str(path), True
    )


def _leaning(path: Path, amount: float) -> None:
    """Shear the axes by an amount (of a unit direction)."""
    if path.name.endswith(".mha"):
        content = path.read_bytes()
        at = content.index(b"TransformMatrix = ") + len(b"TransformMatrix = ")
        end = content.index(b"\n", at)
        numbers = [float(v) for v in content[at:end].split()]
        numbers[0:3] = [a + amount * b for a, b in zip(numbers[0:3], numbers[3:6], strict=True)]
        text = " ".join(f"{v:.9g}" for v in numbers).encode()
        path.write_bytes(content[:at] + text + content[end:])
        return
    matrix = nib.load(path).affine.copy()
    sizes = np.linalg.norm(matrix[:3, :3], axis=0)
    matrix[:3, 0] += amount * matrix[:3, 1] / sizes[1] * sizes[0]
    _with_affine(path, matrix)


def _with_affine(path: Path, matrix: np.ndarray | None) -> None:
    """Write an affine as the sform, without a qform."""
    damaged = nib.Nifti1Image(np.asarray(nib.load(path).dataobj), None)
    damaged.set_qform(None, code=0)
    damaged.set_sform(matrix, code=0 if matrix is None else 1)
    nib.save(damaged, path)


#: One axis leans by 5 %; by 0.05 %, as after rounding in an export.
sheared = partial(_leaning, amount=0.05)
almost_orthonormal = partial(_leaning, amount=5e-4)
#: Neither qform nor sform.
no_orientation = partial(_with_affine, matrix=None)
