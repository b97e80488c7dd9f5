"""Find equal images among many: candidates by their keys, then by their voxels."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dataset_conversion.cases.intensities import FEW, SAME, Intensities, compare
from dataset_conversion.cases.planes import shared_planes

_FEWEST = 2  # planes that images share


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


def telling_channels(facts: Mapping[str, Mapping[int, Intensities]]) -> dict[str, list[int]]:
    """Return the channels of each case that can show copies.

    Of several channels, one with few levels (a rough segmentation, an empty image) and one that is
    the same in all cases (an atlas) may be equal on purpose.

    `facts` are those of each channel of each case.
    """
    keys: dict[int, set[str]] = {}
    for own in facts.values():
        for channel, fact in own.items():
            keys.setdefault(channel, set()).add(fact.key)
    common = {channel for channel, found in keys.items() if len(found) == 1 < len(facts)}
    return {
        name: [c for c, fact in own.items()
               if len(own) == 1 or (fact.levels > FEW and c not in common)]
        for name, own in facts.items()
    }  # fmt: skip


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


def overlapping_images(images: Sequence[Image]) -> list[tuple[Image, Image, int]]:
    """Return pairs of images of several cases that share planes, and how many; equal images are left out.

    Raises:
        DatasetError: an image cannot be read.
    """
    holders: dict[int, list[int]] = {}
    for number, image in enumerate(images):
        for key in set(image.fact.planes):
            holders.setdefault(key, []).append(number)
    pairs = Counter(
        pair for numbers in holders.values() for pair in itertools.combinations(numbers, 2)
    )
    found = []
    for (a, b), keys in sorted(pairs.items()):
        one, other = images[a], images[b]
        if keys < _FEWEST or one.case == other.case or one.fact.key == other.fact.key:
            continue
        shared = shared_planes(one.read(), other.read())
        if shared >= _FEWEST:
            found.append((one, other, shared))
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
