"""Datasets that come as several folders: pair images and masks anywhere below one, by their names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dataset_conversion.datasets.file_kinds import kind_of, stem
from dataset_conversion.datasets.source_files import (
    check_folder,
    check_not_pointer,
    files_below,
    ignored,
)
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.volumes import is_volume


@dataclass(frozen=True)
class Named:
    """What the name of a file states: the scan that it belongs to, and its role."""

    scan: str
    is_mask: bool


@dataclass(frozen=True)
class FoundPair:
    """A scan's image and its mask, which may be missing."""

    scan: str
    image: Path
    mask: Path | None


def pairs_below(source: Path, name_of: Callable[[Path], Named | None],
                expected: str,
                follow_links: bool = False) -> tuple[list[FoundPair], list[str]]:  # fmt: skip
    """Pair the volumes below a folder.

    Args:
        source: the folder.
        name_of: path relative to the folder -> scan and role; None for a name that the dataset
            does not use.
        expected: description of the folder, for messages.
        follow_links: read what symbolic links point to.

    Returns:
        Pairs sorted by scan, and problems: unknown names, several files for one image, masks
        without an image, files that are not read, links, and archives that are not unpacked.

    Raises:
        DatasetError: no such folder.
    """
    check_folder(source, expected)
    paths, problems = volumes_below(source, follow_links)
    found: dict[bool, dict[str, list[Path]]] = {False: {}, True: {}}
    for path in paths:
        named = name_of(path.relative_to(source))
        if named is None:
            problems.append(f"{path}: not a file name of this dataset; remove or rename the file")
        else:
            found[named.is_mask].setdefault(named.scan, []).append(path)
    images, masks = found[False], found[True]
    for scan in sorted({*images, *masks}):
        same = max(images.get(scan, []), masks.get(scan, []), key=len)
        if len(same) > 1:
            names = " and ".join(str(path.relative_to(source)) for path in same)
            problems.append(f"{source}: {names} have the name of one scan; keep one")
    problems += [
        f"{path}: a mask without its image; add the image, or remove the mask"
        for scan in sorted(set(masks) - set(images))
        for path in masks[scan]
    ]
    pairs = [FoundPair(scan, same[0], masks.get(scan, [None])[0])  # type: ignore[list-item]
             for scan, same in sorted(images.items())
             if len(same) == 1 and len(masks.get(scan, [])) < 2]  # fmt: skip
    return pairs, problems


def volumes_below(folder: Path, follow_links: bool = False) -> tuple[list[Path], list[str]]:
    """Return the volumes below a folder, sorted, and problems with other files."""
    try:
        files = [path for path in files_below(folder, follow_links) if not ignored(path.name)]
    except DatasetError as error:  # a link, or a folder that cannot be read
        return [], [str(error)]
    volumes = [path for path in files if is_volume(path)]
    problems = [text for path in files if not is_volume(path) for text in _not_read(path)]
    for path in volumes:
        try:
            check_not_pointer(path)
        except DatasetError as error:
            problems.append(str(error))
    return volumes, problems


def _not_read(path: Path) -> list[str]:
    """Return the problem with a file that may hold an image or a mask and is not read."""
    kind = kind_of(path)
    if kind == "archives" and not path.with_name(stem(path.name)).is_dir():
        return [f"{path}: an archive; unpack it, or remove it from the folder if it is unpacked"]
    if kind == "unread":
        return [
            f"{path}: is not read: an unfinished or second download, or another format; rename it, "
            "convert it to .mha or .nii.gz, or remove it"
        ]
    return []
