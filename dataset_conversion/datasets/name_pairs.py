"""Pair images and masks by what their names have in common.

Words for the image (ct, image, ...) and for the mask (mask, label, ...) are left out, so that
P1_ct and P1_mask have the name P1 in common. A pair is never guessed: where several images or masks
share a name, each mask must contain the full name of one image.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dataset_conversion.datasets.file_kinds import MASK_WORD, stem, words
from dataset_conversion.errors import DatasetError

_IMAGE_WORD = re.compile(
    r"ct|cta|cbct|mr|mri|img|imgs|images?|scans?|vol|volumes?|data|orig|original|raw|bild|图像|影像",
    re.IGNORECASE,
)

_CHANNEL = re.compile(r"(.+)_(\d{4})")


@dataclass(frozen=True)
class Item:
    """An image or a mask that is to be paired.

    Attributes:
        name: without the ending; folders within a tree are separated by slashes.
        paths: its files or folders.
        group: its patient, if that is known; else empty.
    """

    name: str
    paths: tuple[Path, ...]
    group: str = ""


@dataclass(frozen=True)
class Match:
    """An image and its mask, which may be missing."""

    image: Item
    mask: Item | None


@dataclass(frozen=True)
class Names:
    """The words that do not count in names.

    Attributes:
        pattern: regular expression in the names of masks; case is ignored.
    """

    pattern: str

    def common(self, name: str) -> str:
        """Return a name without words for image and mask.

        >>> Names("mask").common("P1_CT"), Names("mask").common("mask-P1")
        ('P1', 'P1')
        """
        name = composed(name)
        found = re.finditer(self.pattern, name, re.IGNORECASE)
        spans = [match.span() for match in found if match.group()]
        kept = name
        for word in reversed(list(words(name))):
            start, end = word.span()
            marked = any(start < last and first < end for first, last in spans)
            if marked or MASK_WORD.fullmatch(word[0]) or _IMAGE_WORD.fullmatch(word[0]):
                kept = f"{kept[:start]}{kept[end:]}"
        kept = re.sub(r"([\W_])[\W_]+", r"\1", kept)
        return re.sub(r"^[\W_]+|[\W_]+$", "", kept)

    def key(self, name: str) -> tuple[str, ...]:
        """Return what pairs have in common: words and numbers, in lower case.

        >>> Names("seg").key("volume-0") == Names("seg").key("segmentation-0") == ("0",)
        True
        """
        return tuple(word[0].casefold() for word in words(self.common(name)))


def composed(name: str) -> str:
    """Return a name with composed letters; file systems of macOS separate accents from their letters.

    >>> composed("Mu\u0308ller") == "M\u00fcller"
    True
    """
    return unicodedata.normalize("NFC", name)


def match(images: Sequence[Item], masks: Sequence[Item],
          names: Names) -> tuple[list[Match], list[str]]:  # fmt: skip
    """Pair images and masks.

    Returns:
        Pairs sorted by name, and problems: masks without an image, and names that more than one
        image or mask has in common. Images of a problem are left out.
    """
    groups: dict[tuple[str, ...], tuple[list[Item], list[Item]]] = {}
    for image in images:
        groups.setdefault(names.key(image.name), ([], []))[0].append(image)
    for mask in masks:
        groups.setdefault(names.key(mask.name), ([], []))[1].append(mask)
    found: list[Match] = []
    problems: list[str] = []
    for own, drawn in groups.values():
        pairs = _paired(own, drawn)
        if pairs is None:
            problems.append(_problem(own, drawn))
        else:
            found += pairs
    return sorted(found, key=lambda pair: pair.image.name), sorted(problems)


def channel_of(name: str) -> tuple[str, str]:
    """Return a name without nnU-Net's channel, and the channel.

    >>> channel_of("P1_0000"), channel_of("P1")
    (('P1', '0000'), ('P1', ''))
    """
    found = _CHANNEL.fullmatch(name)
    return (found[1], found[2]) if found else (name, "")


def without_channel(images: Sequence[Item], masks: Sequence[Item], names: Names) -> list[Item]:
    """Remove nnU-Net's channel (_0000) from the names of images, if the masks have names without it.

    Raises:
        DatasetError: images of several channels.
    """
    known = {names.key(mask.name) for mask in masks}
    found = [_CHANNEL.fullmatch(image.name) for image in images]
    plain = [item and item[1] for item in found]
    fits = any(name and names.key(name) in known for name in plain)
    if not fits or any(names.key(image.name) in known for image in images):
        return list(images)
    channels = sorted({item[2] for item in found if item})
    if len(channels) > 1:
        raise DatasetError(
            f"{images[0].paths[0].parent}: images of several channels (_{', _'.join(channels)}), expected one; "
            "keep the files of one channel"
        )
    return [replace(image, name=name or image.name)
            for image, name in zip(images, plain, strict=True)]  # fmt: skip


def _paired(images: Sequence[Item], masks: Sequence[Item]) -> list[Match] | None:
    """Pair the images and masks that have a name in common; None if that is not unique."""
    if not masks:
        return [Match(image, None) for image in images]
    if len(images) == len(masks) == 1:
        return [Match(images[0], masks[0])]
    if len(images) != len(masks):
        return None
    pairs: dict[Item, Item] = {}
    for mask in masks:
        fitting = [image for image in images if _contains(mask.name, image.name)]
        longest = max((len(image.name) for image in fitting), default=0)
        best = [image for image in fitting if len(image.name) == longest]
        if len(best) != 1 or best[0] in pairs:
            return None
        pairs[best[0]] = mask
    return [Match(image, mask) for image, mask in pairs.items()]


def _contains(mask: str, image: str) -> bool:
    """Check whether a mask's name contains the full name of an image, not as a part of a word."""
    pattern = rf"(?<![^\W_]){re.escape(composed(image))}(?![^\W_])"
    return re.search(pattern, composed(mask), re.IGNORECASE) is not None


def _problem(images: Sequence[Item], masks: Sequence[Item]) -> str:
    shown = ", ".join(str(item.paths[0]) for item in masks)
    if not images:
        return f"{shown}: no image has the name of this mask; rename or remove it, or add its image"
    return (
        f"{', '.join(str(item.paths[0]) for item in images)}: {len(images)} images and {len(masks)} masks "
        f"({shown}) have the same name apart from words such as ct and mask; each image needs one mask: rename them"
    )


def without_folders(items: Sequence[Item], names: Names) -> list[Item] | None:
    """Return items named after their files alone; None if two of them get the same name."""
    found = [replace(item, name=item.name.rsplit("/", 1)[-1]) for item in items]
    same = len({names.key(item.name) for item in found}) < len(found)
    return None if same or found == list(items) else found


def file_items(paths: Iterable[Path]) -> list[Item]:
    """Return one item for each file, by its name without the ending."""
    return [Item(stem(path.name), (path,)) for path in paths]
