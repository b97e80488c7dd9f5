"""The files of a case, checked before nnU-Net reads them.

ITK reads the missing end of a damaged file, and NaN, as 0. nnU-Net takes the slices of a colour image as channels,
and only prints a warning where the channels of a case are at different places.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dataset_conversion.cases.mask_alignment import is_part
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.volumes import Header, is_volume, read_header, stored_values
from nnunet_plugins.errors import UserError
from nnunet_plugins.image_files import is_flat


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
    for path in filter(is_volume, files):
        try:
            values = stored_values(path)
            flat = is_flat(path)
            if not flat:
                grids[path] = read_header(path)
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


def _same(one: Header, other: Header, *, any_order: bool) -> bool:
    """Whether two files have the same voxels, within a tenth of a voxel."""
    if one.voxels != other.voxels or not is_part(one.matrix, one.size, other.matrix, other.size):
        return False
    return any_order or one.orientation == other.orientation


def _size(header: Header) -> str:
    return "x".join(map(str, header.size))
