"""Images of several channels in one NIfTI file (x, y, z, channel)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import orthonormal, place
from dataset_conversion.io.library_warnings import quiet_nibabel
from dataset_conversion.io.nifti_reader import read_nifti, read_nifti_header
from dataset_conversion.io.volumes import NIFTI, Header, read_header, read_image


def read_channel_header(path: Path) -> tuple[Header, int]:
    """Return size and geometry of a volume, and the number of its channels."""
    size: tuple[int, ...] = ()
    if path.name.lower().endswith(NIFTI):
        try:
            with quiet_nibabel:
                size, matrix = read_nifti_header(path)
        except Exception:  # read_header states the cause
            size = ()
    if len(size) != 4 or size[3] < 2 or min(size) < 1:
        return read_header(path), 1
    return Header((size[0], size[1], size[2]), matrix), size[3]


def read_channels(path: Path) -> tuple[tuple[sitk.Image, ...], tuple[str, ...]]:
    """Read every channel as an image with scaled values; return them and notes on corrections.

    Raises:
        DatasetError: as `read_image`, except that 4D NIfTI is accepted.
    """
    if read_channel_header(path)[1] == 1:
        image, notes = read_image(path)
        return (image,), notes
    try:
        with quiet_nibabel:
            found = read_nifti(path, stack=True)
    except DatasetError:
        raise
    except Exception as error:  # nibabel raises anything for damaged bytes
        raise DatasetError(f"{path}: is truncated or damaged; copy or export it again") from error
    matrix, note = orthonormal(found.matrix, str(path))
    images = []
    for channel in range(found.raw.shape[-1]):
        values = found.raw[..., channel]
        if (found.slope, found.offset) != (1.0, 0.0):
            values = values.astype(np.float64) * found.slope + found.offset
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            bad = int((~np.isfinite(values)).sum())
            raise DatasetError(f"{path}: {bad} voxels of channel {channel} are NaN or inf; "
                               "replace them and export again")  # fmt: skip
        images.append(place(values, matrix))
    return tuple(images), tuple(text for text in (found.note, note) if text)
