"""The files of a case, checked before nnU-Net reads them.

ITK reads the missing end of a damaged file, and NaN, as 0 or as anything. nnU-Net takes the slices of a colour image
as channels, and only prints a warning where the channels of a case are at different places.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.cases.mask_alignment import is_part
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import in_mm
from dataset_conversion.io.volumes import Header, header_of, is_volume, read_header, stored_values
from nnunet_plugins.errors import UserError
from nnunet_plugins.image_files import is_flat, read_labels_on

_GIPL_HEADER = 256  # bytes


def check_case(files: Sequence[Path], *, rank: int, any_order: bool) -> None:
    """Check the images of a case, and the label map of the previous stage of a cascade.

    Args:
        files: one per channel, then the label map if there is one; natural images are not checked.
        rank: axes of the model's patches, 2 or 3.
        any_order: whether the order and direction of the axes may differ between the files.

    Raises:
        UserError: truncated, NaN or infinite voxels, colours, 4 axes, a 2D image for a 3D model, or files that are
            on different grids.
    """
    grids: dict[Path, Header] = {}
    for path in (one for one in files if is_volume(one) or _is_gipl(one)):
        try:
            values = stored_values(path)
            flat = is_flat(path)
            if not flat:
                grids[path] = _gipl_header(path) if _is_gipl(path) else read_header(path)
        except DatasetError as error:
            raise UserError(str(error)) from error
        if values is not None and values.ndim > 3:
            raise UserError(
                f"{path}: has the shape {values.shape}; save one volume of 3 axes per channel, CASE_0000 and so on"
            )
        if flat and rank == 3:
            raise UserError(
                f"{path}: is a 2D image, and the model is a 3D one; predict volumes, or use a 2d configuration"
            )
    for path, own in grids.items():
        first, grid = next(iter(grids.items()))
        if not _same(own, grid, any_order=any_order):
            raise UserError(
                f"{path}: is on another grid than {first.name} (size {_size(own)} against {_size(grid)}, orientation "
                f"{own.orientation} against {grid.orientation}); all files of a case need the same grid: register "
                "and resample it, or, if only its header is wrong, copy that of the other file"
            )


def check_labels(path: Path, most: int) -> None:
    """Check the label map of the previous stage of a cascade, as it is stored.

    Args:
        path: the label map.
        most: the model's largest label.

    Raises:
        UserError: it cannot be read, or holds values other than the whole numbers from 0 to the largest label.
    """
    values = sitk.GetArrayFromImage(read_labels_on(path))
    wrong = values[(values < 0) | (values > most) | (values != np.rint(values))]
    if wrong.size:
        raise UserError(
            f"{path}: holds the value {wrong[0]:g}; the model knows the labels 0 to {most}: pass the label maps of "
            "the previous stage of the same cascade"
        )


def resampled_size(
    size: Sequence[int], spacing: Sequence[float], target: Sequence[float]
) -> list[int]:
    """Voxels along each axis of a volume at another spacing, as nnU-Net rounds them.

    >>> resampled_size((10, 20), (1.0, 0.8), (2.0, 1.0))
    [5, 16]

    Raises:
        UserError: none along an axis.
    """
    new = [round(n * mm / there) for n, mm, there in zip(size, spacing, target, strict=True)]
    if 0 in new:
        raise UserError(
            f"too thin for the model: the part that is not 0 has {' x '.join(map(str, size))} voxels of "
            f"{in_mm(spacing)} mm, and the model reads voxels of {in_mm(target)} mm; along each axis more than half "
            "of such a voxel is required: correct the spacing in the header, or export a thicker volume"
        )
    return new


def _is_gipl(path: Path) -> bool:
    return path.name.lower().endswith(".gipl")


def _gipl_header(path: Path) -> Header:
    """The header of a .gipl file, which only ITK reads."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise DatasetError(f"{path}: cannot be read; copy or export it again") from error
    voxel = sitk.Image([1] * reader.GetDimension(), reader.GetPixelID()).GetSizeOfPixelComponent()
    if path.stat().st_size < _GIPL_HEADER + voxel * np.prod(reader.GetSize(), dtype=int):
        raise DatasetError(f"{path}: is truncated or damaged; copy or export it again")
    return header_of(reader)


def _same(one: Header, other: Header, *, any_order: bool) -> bool:
    """Whether two files have the same voxels, within a tenth of a voxel."""
    if one.voxels != other.voxels or not is_part(one.matrix, one.size, other.matrix, other.size):
        return False
    return any_order or one.orientation == other.orientation


def _size(header: Header) -> str:
    return "x".join(map(str, header.size))
