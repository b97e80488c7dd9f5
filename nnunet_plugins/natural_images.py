"""Images without a position in a patient: .png, .bmp and .tif(f), read as nnU-Net's NaturalImage2DIO and Tiff3DIO do.

They have neither directions nor, with one exception, a voxel size: nnU-Net keeps the spacing of a 3D .tif in a JSON
file of the case's name.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from nnunet_plugins.errors import UserError

TIFF = (".tif", ".tiff")
NATURAL = (".png", ".bmp", *TIFF)
_CHANNEL = re.compile(r"_\d{4}$")


@dataclass(frozen=True)
class NaturalImage:
    """A natural image.

    Attributes:
        path: its file.
        values: (y, x) or (z, y, x); with colours (y, x, channel).
        colours: whether the last axis of the values is that of the colours.
        spacing: of the axes of the values, mm; None if it is not known.
    """

    path: Path
    values: NDArray[np.generic]
    colours: bool = False
    spacing: tuple[float, ...] | None = None

    @property
    def channels(self) -> list[NDArray[np.generic]]:
        """The channels, each (y, x) or (z, y, x)."""
        return [*np.moveaxis(self.values, -1, 0)] if self.colours else [self.values]

    @property
    def steps(self) -> tuple[float, ...]:
        """The spacing of the axes; 1 where it is not known."""
        return self.spacing or (1.0,) * self.channels[0].ndim


def is_natural(path: Path) -> bool:
    """Whether a file name is that of a natural image.

    >>> is_natural(Path("a.PNG")), is_natural(Path("a.nii.gz"))
    (True, False)
    """
    return path.suffix.lower() in NATURAL


def read_natural(path: Path) -> NaturalImage:
    """Read a natural image.

    Raises:
        UserError: it cannot be read, has another number of axes, or its spacing is invalid.
    """
    try:
        values, colours = _tiff(path) if path.suffix.lower() in TIFF else _picture(path)
    except (OSError, ValueError, SyntaxError, IndexError, KeyError) as error:
        # Pillow raises SyntaxError for damaged chunks, tifffile its own ValueErrors.
        reason = " ".join(str(error).split())[:120]
        raise UserError(f"{path}: cannot be read ({reason}); copy or export it again") from error
    if values.ndim not in (2, 3):
        raise UserError(
            f"{path}: has the shape {values.shape}; images of 2 or 3 axes are supported"
        )
    three = path.suffix.lower() in TIFF and values.ndim == 3 and not colours
    return NaturalImage(path, values, colours, _spacing(path) if three else None)


def labels_of(image: NaturalImage) -> NDArray[np.generic]:
    """The values of a label map.

    Raises:
        UserError: it has colours.
    """
    if image.colours:
        raise UserError(
            f"{image.path}: has colours ({image.values.shape[-1]} values per pixel, or a palette); a label map is a "
            "greyscale image with the labels as values: save it as such (a palette's numbers with Pillow: "
            "Image.fromarray(numpy.array(Image.open(FILE))).save(FILE))"
        )
    values = image.values
    return values.astype(np.uint8) if values.dtype == np.bool_ else values


def as_volume(values: NDArray[np.generic], spacing: tuple[float, ...]) -> sitk.Image:
    """An ITK volume of voxels (y, x) or (z, y, x), a 2D image as one slice, at the origin.

    >>> as_volume(np.zeros((4, 5), np.uint8), (1.0, 1.0)).GetSize()
    (5, 4, 1)
    """
    volume = sitk.GetImageFromArray(values if values.ndim == 3 else values[None])
    volume.SetSpacing([*spacing[::-1], 1.0][:3])
    return volume


def write_natural(path: Path, channels: list[NDArray[np.generic]]) -> None:
    """Write channels in the format of the name: .tif as they are, .png and .bmp rounded to 8 bits, or .png to 16.

    Args:
        path: the file.
        channels: each (y, x), or (z, y, x) for .tif; with 3 or 4, the colours of one image.
    """
    values = channels[0] if len(channels) == 1 else np.stack(channels, -1)
    if path.suffix.lower() in TIFF:
        import tifffile

        photometric = "minisblack" if len(channels) == 1 else "rgb"
        tifffile.imwrite(path, values, photometric=photometric)
        return
    from PIL import Image

    rounded = np.clip(np.rint(values.astype(np.float64)), 0, 65535)
    small = len(channels) > 1 or path.suffix.lower() == ".bmp" or rounded.max(initial=0) <= 255
    Image.fromarray(
        rounded.clip(0, 255).astype(np.uint8) if small else rounded.astype(np.uint16)
    ).save(path)


def _picture(path: Path) -> tuple[NDArray[np.generic], bool]:
    from PIL import Image

    with Image.open(path) as image:
        palette = image.mode in ("P", "PA")
        values = np.asarray(image.convert("RGB") if palette else image)
    return values, values.ndim == 3


def _tiff(path: Path) -> tuple[NDArray[np.generic], bool]:
    import tifffile

    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        palette = file.pages[0].photometric == tifffile.PHOTOMETRIC.PALETTE
        values = series.asarray()
        axes = series.axes
    # A volume of 3 or 4 slices, as nnU-Net writes it, is stored as planes of colours (SYX).
    if palette and values.ndim == 2:
        return np.stack([values] * 3, -1), True
    return values, axes.endswith("S")


def spacing_file(path: Path) -> Path | None:
    """The JSON file with the spacing of a .tif, named as its case; None if there is none."""
    if path.suffix.lower() not in TIFF:
        return None
    files = (path.with_name(f"{stem}.json") for stem in (case_of(path), path.stem))
    return next((one for one in files if one.is_file()), None)


def case_of(path: Path) -> str:
    """The name of a file's case: without the ending and the number of the channel.

    >>> case_of(Path("spine_0001.tif"))
    'spine'
    """
    return _CHANNEL.sub("", path.stem)


def _spacing(path: Path) -> tuple[float, ...] | None:
    """The spacing of a 3D .tif from the JSON file of its case; None without one."""
    file = spacing_file(path)
    if file is None:
        return None
    try:
        found = tuple(float(one) for one in json.loads(file.read_text(encoding="utf-8"))["spacing"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(
            f'{file}: has no spacing of {path.name} ({error!r}); write {{"spacing": [z, y, x]}} in mm, or remove it'
        ) from error
    if len(found) != 3 or not all(np.isfinite(one) and one > 0 for one in found):
        raise UserError(
            f"{file}: the spacing {list(found)} is invalid; write 3 numbers above 0, mm, for z, y, x"
        )
    return found
