"""Images in every format that nnU-Net reads, as volumes of one channel each, and volumes back in those formats."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import SimpleITK as sitk

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.volumes import is_volume, read_header, read_image
from nnunet_plugins.errors import UserError
from nnunet_plugins.natural_images import (
    TIFF,
    as_volume,
    case_of,
    is_natural,
    labels_of,
    read_natural,
    write_natural,
)


def is_image(path: Path) -> bool:
    """Whether a file name ends like that of an image that can be read."""
    return is_volume(path) or is_natural(path) or path.name.lower().endswith(".gipl")


def is_flat(path: Path) -> bool:
    """Whether a file other than a natural image has 2 axes."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return False
    return int(reader.GetDimension()) == 2


def stored_orientation(path: Path) -> str:
    """The orientation in which a volume is stored; '' for a natural or 2D image, which states none.

    Raises:
        UserError: its header cannot be read.
    """
    if not is_volume(path) or is_flat(path):
        return ""
    try:
        return read_header(path).orientation
    except DatasetError as error:
        raise UserError(str(error)) from error


def read_channels(path: Path) -> list[sitk.Image]:
    """Read an image as volumes, one per channel; a 2D image has one slice.

    Raises:
        UserError: it cannot be read.
    """
    if is_natural(path):
        image = read_natural(path)
        return [as_volume(channel, image.steps) for channel in image.channels]
    try:
        if is_flat(path) or not is_volume(path):
            image = sitk.ReadImage(str(path))
            return [sitk.JoinSeries(image) if image.GetDimension() == 2 else image]
        return [read_image(path)[0]]
    except DatasetError as error:
        raise UserError(str(error)) from error
    except RuntimeError as error:
        raise UserError(f"{path}: cannot be read; copy or export it again") from error


def find_channels(stem: str, folder: Path, ending: str, count: int) -> list[Path]:
    """The files of a case, STEM_0000 and so on: one per channel; those that exist of natural images with colours."""
    files = [folder / f"{stem}_{number:04d}{ending}" for number in range(count)]
    if is_natural(files[0]) and files[0].is_file():
        return [path for path in files if path.is_file()]
    return files


def check_channels(files: Sequence[Path], count: int) -> None:
    """Check the channels of natural images, which may be the colours of one file; other images are not read.

    Raises:
        UserError: an image cannot be read, or the files have another number of channels, or several sizes.
    """
    sizes = [one.shape for path in files if is_natural(path) for one in read_natural(path).channels]
    if sizes and len(sizes) != count:
        raise UserError(
            f"{files[0]}: the case has {len(sizes)} channels in {len(files)} files; the model needs {count}"
        )
    if len(set(sizes)) > 1:
        raise UserError(
            f"{files[0]}: the channels of the case have the shapes {', '.join(map(str, sizes))}; all need the same"
        )


def read_labels_on(path: Path, grid: sitk.Image | None = None) -> sitk.Image:
    """Read a label map as a volume; a natural image gets the geometry of a grid of the same size.

    Raises:
        UserError: it cannot be read, or has colours.
    """
    if not is_natural(path):
        return read_channels(path)[0]
    image = read_natural(path)
    volume = as_volume(labels_of(image), image.steps)
    if grid is not None and volume.GetSize() == grid.GetSize():
        volume.CopyInformation(grid)
    return volume


def write_channels(path: Path, volumes: Sequence[sitk.Image], *, flat: bool) -> None:
    """Write volumes as one file in the format of its name.

    Args:
        path: the file.
        volumes: the channels; several only for a natural image with colours.
        flat: write the only slice as an image of 2 axes; other formats than those of natural images.
    """
    if not is_natural(path):
        sitk.WriteImage(volumes[0][:, :, 0] if flat else volumes[0], str(path))
        return
    arrays = [sitk.GetArrayFromImage(volume) for volume in volumes]
    solid = path.suffix.lower() in TIFF and len(arrays[0]) > 1
    write_natural(path, arrays if solid else [array[0] for array in arrays])
    if solid:
        spacing = list(volumes[0].GetSpacing()[::-1])
        path.with_name(f"{case_of(path)}.json").write_text(
            json.dumps({"spacing": spacing}), encoding="utf-8"
        )
