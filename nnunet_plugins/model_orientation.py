"""Images in the orientation of a model's training images, and results back on the images' own grids.

nnU-Net predicts an image as it is stored, and finds little in one that is stored unlike the training images.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.io.geometry import like
from dataset_conversion.io.orientation import oriented_to
from dataset_conversion.raw_format.training_record import revealed
from nnunet_plugins.errors import UserError
from nnunet_plugins.image_files import read_channels, stored_orientation
from nnunet_plugins.plans_file import read_object


def turned(images: Sequence[Path], code: str | None, folder: Path) -> list[Path]:
    """Return a case's images in an orientation: the files themselves, or turned copies in a folder.

    Args:
        images: one file per channel.
        code: the orientation; None returns the files.
        folder: for copies, which are made unless all files are stored so already; it is created.

    Raises:
        UserError: an image cannot be read.
    """
    if code is None or all(stored_orientation(path) in (code, "") for path in images):
        return list(images)
    folder.mkdir(parents=True, exist_ok=True)
    copies = []
    for number, path in enumerate(images):  # of several folders, perhaps with one name
        copies.append(folder / f"{number}_{path.name}")
        sitk.WriteImage(oriented_to(read(path), code), str(copies[-1]))
    return copies


def returned(volume: sitk.Image, image: sitk.Image) -> sitk.Image:
    """Return a volume that was made from a turned image on the image's own grid.

    >>> image = sitk.DICOMOrient(sitk.Image(4, 5, 6, sitk.sitkInt16), "PIR")
    >>> returned(oriented_to(image, "LPS"), image).GetSize()
    (5, 6, 4)

    Raises:
        UserError: it has other voxels than the image.
    """
    # From the directions of both: at 45 degrees, rounding decides the orientation's code.
    there, own = (np.reshape(one.GetDirection(), (3, 3)) for one in (volume, image))
    steps = there.T @ own  # column: axis of the image; row: axis of the volume
    axes = np.abs(steps).argmax(0)
    flips = tuple(axis for axis, source in enumerate(axes) if steps[source, axis] < 0)
    back = np.flip(sitk.GetArrayViewFromImage(volume).T.transpose(axes), flips)
    if back.shape != image.GetSize():
        raise UserError(f"the result has {back.shape} voxels, its image {image.GetSize()}")
    return like(back.T, image)


def notes_on(images: Iterable[Path], code: str | None, model: Path) -> list[str]:
    """Notes on images that are stored unlike a model's training images.

    Args:
        images: the images of all cases.
        code: orientation that the model's dataset.json records; None without one.
        model: the model folder.

    Raises:
        UserError: the header of an image cannot be read.
    """
    counts = Counter(filter(None, map(stored_orientation, images)))
    shown = ", ".join(f"{axes} ({count})" for axes, count in sorted(counts.items()))
    if code is not None:
        if set(counts) <= {code}:
            return []
        return [
            f"images are stored as {shown}: each is predicted as {code}, like the training images, and its result is "
            "brought back to its own grid"
        ]
    if _reorients(model):
        return []
    trained = revealed(model)
    if len(counts) < 2 and (not trained or set(counts) <= set(trained)):
        return []
    seen = (
        f"; its validation predictions are stored as {', '.join(sorted(trained))}"
        if trained
        else ""
    )
    return [
        f"WARNING: images are stored as {shown}, and the model's dataset.json records no orientation{seen}. nnU-Net "
        "predicts an image as it is stored, and badly if that differs from the training images: store all images "
        "like the training images"
    ]


def read(path: Path) -> sitk.Image:
    """Read an image of one channel, or the mean of the colours of a natural image.

    Raises:
        UserError: it cannot be read.
    """
    channels = read_channels(path)
    if len(channels) == 1:
        return channels[0]
    mean = sum(sitk.GetArrayFromImage(one).astype(np.float32) for one in channels) / len(channels)
    return like(mean, channels[0])


def _reorients(model: Path) -> bool:
    """Whether nnU-Net's reader of this model brings every image to one orientation."""
    plans = model / "plans.json"
    reader = read_object(plans).get("image_reader_writer", "") if plans.is_file() else ""
    return str(reader).endswith("WithReorient")
