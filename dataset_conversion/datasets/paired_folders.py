"""Datasets with images in one folder and masks in another, paired by their file names."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset_conversion.cases.case import Case
from dataset_conversion.datasets.file_kinds import kind_of, stem
from dataset_conversion.datasets.options import Common
from dataset_conversion.datasets.scan import stop_at
from dataset_conversion.datasets.source_files import check_folder, ignored, is_leftover, listed
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.atomic_files import digest_of
from dataset_conversion.io.volumes import READABLE, data_files, files_of, is_volume

Key = tuple[int, str]  # patient's number, and what distinguishes the images of one patient


@dataclass(frozen=True)
class Pair:
    """An image and its mask, which may be missing."""

    key: Key
    image: Path
    mask: Path | None

    def digests(self) -> dict[str, str]:
        """Return the SHA-256 of the image and of the mask, if there is one."""
        files = {"image": self.image, "mask": self.mask}
        return {role: digest_of(files_of(path)) for role, path in files.items() if path}


def find_folder(source: Path, name: str) -> Path:
    """Return the folder that holds volumes: `source/name` or `source/name/name`.

    The second occurs when an archive contains a folder of its name.

    Raises:
        DatasetError: neither holds a volume, or both do.
    """
    check_folder(source, f"the folder that holds {name}/")
    folders = [folder for one in _named(source, name) for folder in (one, *_named(one, name))]
    full = [folder for folder in folders if _volumes(folder)]
    if len(full) == 1:
        return full[0]
    if full:
        raise DatasetError(
            f"{full[0]} and {full[1]} both hold volumes; keep one (was the archive "
            "unpacked twice, or are two datasets mixed?)"
        )
    archive = source / f"{name}.zip"
    fix = f"unpack {archive.name}" if archive.is_file() else f"pass the folder that holds {name}/"
    raise DatasetError(f"{source}: no volumes in {name}/ nor in {name}/{name}/; {fix}")


def _named(folder: Path, name: str) -> list[Path]:
    """Return the subfolders of a name, ignoring case."""
    return sorted(p for p in listed(folder) if p.name.lower() == name.lower() and p.is_dir())


def find_pairs(images: Path, masks: Path, image_key: Callable[[str], Key | None],
               mask_key: Callable[[str], Key | None]) -> tuple[list[Pair], list[str]]:  # fmt: skip
    """Pair the volumes of two folders by key.

    Keys are read from file names; None stands for a name that the dataset does not use.

    Returns:
        Pairs sorted by key, and problems: unknown names, several names for one image, masks
        without an image.
    """
    found, problems = _by_key(images, image_key)
    drawn, more = _by_key(masks, mask_key)
    orphans = [path for key, path in drawn.items() if key not in found]
    problems += more
    problems += [f"{path}: a mask without its image; add the image, or remove the mask"
                 for path in orphans]  # fmt: skip
    return [Pair(key, path, drawn.get(key)) for key, path in sorted(found.items())], problems


def _by_key(folder: Path, key_of: Callable[[str], Key | None]) -> tuple[dict[Key, Path], list[str]]:
    """Return the files of a folder by key, and problems; files that share a key are left out."""
    by_key: dict[Key, list[Path]] = {}
    volumes, problems = _volumes(folder), []
    for path in volumes:
        key = key_of(path.name)
        if key is None:
            problems.append(f"{path}: not a file name of this dataset; remove or rename the file")
        else:
            by_key.setdefault(key, []).append(path)
    data = {file for path in volumes for file in _data_of(path)}
    problems += [
        f"{path}: this format is not read; convert it to .mha or .nii.gz, or remove it"
        for path in sorted(listed(folder))
        if path not in data and _is_unread(path, key_of, by_key)
    ]
    for paths in by_key.values():
        if len(paths) > 1:
            names = " and ".join(path.name for path in paths)
            problems.append(f"{folder}: {names} denote the same image; keep one")
    return {key: paths[0] for key, paths in by_key.items() if len(paths) == 1}, problems


def _is_unread(path: Path, key_of: Callable[[str], Key | None], known: Container[Key]) -> bool:
    """Check whether a file may be a volume of the dataset that is not read."""
    if is_leftover(path.name) or path.is_dir() or is_volume(path):
        return False
    kind = kind_of(path)
    keys = {key_of(f"{stem(path.name)}{ending}") for ending in READABLE} - {None}
    missing = any(key not in known for key in keys if key)
    return kind == "unread" or (kind not in ("side", "dicom") and missing)


def _data_of(path: Path) -> set[Path]:
    """Return a header's data file; of a damaged header, which is reported when it is read, the usual ones."""
    try:
        return data_files([path])
    except DatasetError:
        return {path.with_suffix(".raw"), path.with_suffix(".zraw")}


def _volumes(folder: Path) -> list[Path]:
    return [path for path in sorted(listed(folder)) if is_volume(path) and not ignored(path.name)]


def checked(cases: Sequence[Case], roles: Iterable[str], problems: Sequence[str],
            options: Common) -> tuple[list[Case], list[str]]:  # fmt: skip
    """Return the cases whose images occur once, and all problems.

    Copies of an image under other names would end up in different folds.

    `roles` are the images among a case's sources, `problems` those found so far.
    """
    seen: dict[str, list[Case]] = {}
    for case in cases:
        for role in set(roles) & set(case.sources):
            seen.setdefault(case.sources[role], []).append(case)
    copies = [twins for twins in seen.values() if len(twins) > 1]
    problems = [
        *problems,
        *(f"{' and '.join(twin.where for twin in twins)} hold the same image; remove one"
          for twins in copies),
    ]  # fmt: skip
    bad = {twin.name for twins in copies for twin in twins}
    good = [case for case in cases if case.name not in bad]
    stop_at(problems, good, options)
    return good, problems
