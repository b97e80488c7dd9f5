"""Find equal images among many: candidates by their keys, then by their voxels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dataset_conversion.cases.intensities import SAME, Intensities, compare


@dataclass(frozen=True)
class Image:
    """An image of a case.

    Attributes:
        case: name.
        group: of the case.
        fact: see `Intensities`.
        read: returns the voxels (z, y, x); called for candidates only.
    """

    case: str
    group: str
    fact: Intensities
    read: Callable[[], np.ndarray]


def equal_images(images: Sequence[Image]) -> list[list[Image]]:
    """Return the sets of equal images, which are of several cases.

    The size of a voxel, the data type and the order of the axes do not matter.

    Raises:
        DatasetError: an image cannot be read.
    """
    found = []
    for candidates in _alike(images, lambda image: image.fact.key):
        if len({image.case for image in candidates}) > 1:
            found += _divided(candidates)
    return found


def near_images(images: Sequence[Image]) -> list[list[Image]]:
    """Return sets of images of several groups that differ in scale, offset, or the value of air.

    Each set starts with the image that the others were compared with; equal images are left out.
    """
    found = []
    for candidates in _alike(images, lambda image: image.fact.near):
        different = list({image.fact.key: image for image in reversed(candidates)}.values())[::-1]
        first = different[0]
        others = [image for image in different[1:] if image.group != first.group]
        if others:
            array = first.read()
            near = [image for image in others if compare(array, image.read())]
            found += [[first, *near]] if near else []
    return found


def _alike(images: Sequence[Image], key: Callable[[Image], str]) -> list[list[Image]]:
    """Return the images by key; an image of one level has none."""
    found: dict[str, list[Image]] = {}
    for image in images:
        if image.fact.key:
            found.setdefault(key(image), []).append(image)
    return [members for members in found.values() if len(members) > 1]


def _divided(images: Sequence[Image]) -> list[list[Image]]:
    """Return the sets of equal images of several cases among candidates."""
    sets: list[tuple[np.ndarray, list[Image]]] = []
    for image in images:
        array = image.read()
        members = next((m for first, m in sets if compare(first, array) == SAME), None)
        if members is None:
            sets.append((array, [image]))
        else:
            members.append(image)
    return [members for _, members in sets if len({image.case for image in members}) > 1]
