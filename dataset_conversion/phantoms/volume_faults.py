"""Faults of NIfTI and MetaImage files; each function damages one file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import SimpleITK as sitk

from dataset_conversion.io.geometry import affine, like, place


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


def _changed(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    image = sitk.ReadImage(str(path))
    sitk.WriteImage(like(change(sitk.GetArrayFromImage(image)), image), str(path), True)


def _with_one(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        result = array.astype(np.float32)
        result[tuple(n // 2 for n in result.shape)] = value
        return result

    return change


def not_a_number(path: Path) -> None:
    """One voxel is NaN."""
    _changed(path, _with_one(np.nan))


def infinite(path: Path) -> None:
    """One voxel is infinite."""
    _changed(path, _with_one(np.inf))


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


def empty(path: Path) -> None:
    """Only background."""
    _changed(path, np.zeros_like)


def strange_label(path: Path) -> None:
    """Replace some labelled voxels by a label of no scheme."""

    def change(array: np.ndarray) -> np.ndarray:
        result: np.ndarray = array.copy()
        found = np.argwhere(array > 0)
        result[tuple(found[: max(1, len(found) // 50)].T)] = 60
        return result

    _changed(path, change)


def negative_label(path: Path) -> None:
    """One voxel is -1."""

    def change(array: np.ndarray) -> np.ndarray:
        result = array.astype(np.int16)
        result[0, 0, 0] = -1
        return result

    _changed(path, change)


def almost_whole(path: Path) -> None:
    """Labels such as 0.9999, as after float arithmetic."""
    _changed(path, lambda array: np.where(array > 0, array - 1e-4, 0).astype(np.float32))


def fractions(path: Path) -> None:
    """Labels blurred by linear resampling."""

    def change(array: np.ndarray) -> np.ndarray:
        blurred: np.ndarray = array.astype(np.float32)
        blurred[..., 1:] = 0.5 * (blurred[..., 1:] + blurred[..., :-1])
        return blurred

    _changed(path, change)


def scaled(path: Path) -> None:
    """A scale factor of 2 in the header."""
    image: Any = nib.load(path)
    damaged = nib.Nifti1Image(np.asarray(image.dataobj), image.affine, image.header)
    damaged.header.set_slope_inter(2, 0)
    nib.save(damaged, path)
    again = nib.load(path)
    if again.dataobj.slope != 2:  # nibabel chose another
        raise RuntimeError("the scale factor was not written")


def grey_values(path: Path) -> None:
    """An image under the mask's name."""
    noise = np.random.default_rng(0)
    _changed(path, lambda array: noise.integers(0, 2000, array.shape).astype(np.int16))


def flipped(path: Path) -> None:
    """The same voxels stored in another order, with a matching direction."""
    image = sitk.ReadImage(str(path))
    sitk.WriteImage(sitk.Flip(image, [False, True, True]), str(path), True)


def _placed(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    image = sitk.ReadImage(str(path))
    sitk.WriteImage(place(sitk.GetArrayFromImage(image), change(affine(image))), str(path), True)


def shifted(path: Path) -> None:
    """5 mm off along x."""

    def change(matrix: np.ndarray) -> np.ndarray:
        matrix[0, 3] += 5.0
        return matrix

    _placed(path, change)


def other_spacing(path: Path) -> None:
    """1 % larger voxels."""
    _placed(path, lambda matrix: matrix @ np.diag([1.01, 1.01, 1.01, 1.0]))


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
    image = nib.load(path)
    matrix = image.affine.copy()
    sizes = np.linalg.norm(matrix[:3, :3], axis=0)
    matrix[:3, 0] += amount * matrix[:3, 1] / sizes[1] * sizes[0]
    damaged = nib.Nifti1Image(np.asarray(image.dataobj), None)
    damaged.set_qform(None, code=0)
    damaged.set_sform(matrix, code=1)
    nib.save(damaged, path)


def sheared(path: Path) -> None:
    """One axis leans by 5 %."""
    _leaning(path, 0.05)


def almost_orthonormal(path: Path) -> None:
    """One axis leans by 0.05 %, as after rounding in an export."""
    _leaning(path, 5e-4)


def no_orientation(path: Path) -> None:
    """Neither qform nor sform."""
    image: Any = nib.load(path)
    damaged = nib.Nifti1Image(np.asarray(image.dataobj), None)
    damaged.set_qform(None, code=0)
    damaged.set_sform(None, code=0)
    nib.save(damaged, path)
