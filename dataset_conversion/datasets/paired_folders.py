"""Datasets that keep images in one folder and masks in another, paired by what their names say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset_conversion.cases.case import Case
from dataset_conversion.datasets.patient_folder import check_folder, ignored, listed
from dataset_conversion.errors import DatasetError, together
from dataset_conversion.io.volumes import UNREADABLE, is_volume

Key = tuple[int, str]  # a patient's number, and what else tells images of one patient apart


@dataclass(frozen=True)
class Pair:
    """An image and its mask, which may be missing."""

    key: Key
    image: Path
    mask: Path | None


def find_folder(source: Path, name: str) -> Path:
    """Return the folder of a name that holds volumes: `source/name`, or `source/name/name`.

    The second is what unpacking an archive that holds its own folder leaves.

    Raises:
        DatasetError: neither holds a volume, or both do.
    """
    check_folder(source, f"the folder that holds {name}/")
    places = [place for one in _named(source, name) for place in (one, *_named(one, name))]
    full = [place for place in places if _volumes(place)]
    if len(full) == 1:
        return full[0]
    if full:
        raise DatasetError(
            f"{full[0]} and {full[1]} both hold volumes; keep one, as the archive was "
            "unpacked twice or two datasets were mixed"
        )
    archive = source / f"{name}.zip"
    cure = f"unpack {archive.name}" if archive.is_file() else f"give the folder that holds {name}/"
    raise DatasetError(f"{source}: no volumes in {name}/ nor in {name}/{name}/; {cure}")


def _named(folder: Path, name: str) -> list[Path]:
    """Return the folders of a name, whatever the case of its letters."""
    return sorted(p for p in listed(folder) if p.name.lower() == name.lower() and p.is_dir())


def find_pairs(images: Path, masks: Path | None, image_key: Callable[[str], Key | None],
               mask_key: Callable[[str], Key | None]) -> tuple[list[Pair], list[str]]:  # fmt: skip
    """Pair the volumes of two folders, and say what does not fit.

    Args:
        images: folder of images.
        masks: folder of masks; None where there is none.
        image_key: file name -> key, or None for a name that is not the dataset's.
        mask_key: the same for masks.

    Returns:
        Pairs in the order of their keys, and problems: strange names, names that mean the same
        image, masks without an image.
    """
    found, problems = _by_key(images, image_key)
    drawn, more = _by_key(masks, mask_key) if masks else ({}, [])
    problems += more
    orphans = [path for key, path in drawn.items() if key not in found]
    problems += [f"{path}: a mask without its image; add the image, or take it away"
                 for path in orphans]  # fmt: skip
    return [Pair(key, path, drawn.get(key)) for key, path in sorted(found.items())], problems


def _by_key(folder: Path, key_of: Callable[[str], Key | None]) -> tuple[dict[Key, Path], list[str]]:
    """Return the files of a folder by key; names that mean the same are left out and told."""
    by_key: dict[Key, list[Path]] = {}
    problems = [
        f"{path}: this format is not read; convert it to .mha or .nii.gz, or take it away"
        for path in sorted(listed(folder))
        if path.name.lower().endswith(UNREADABLE) and not ignored(path.name)
    ]
    for path in _volumes(folder):
        key = key_of(path.name)
        if key is None:
            problems.append(f"{path}: no name of this dataset; take the file away, or rename it")
        else:
            by_key.setdefault(key, []).append(path)
    for paths in by_key.values():
        if len(paths) > 1:
            names = " and ".join(path.name for path in paths)
            problems.append(f"{folder}: {names} mean the same image; keep one")
    return {key: paths[0] for key, paths in by_key.items() if len(paths) == 1}, problems


def _volumes(folder: Path) -> list[Path]:
    return [path for path in sorted(listed(folder)) if is_volume(path) and not ignored(path.name)]


def without_copies(cases: Sequence[Case], roles: Iterable[str]) -> tuple[list[Case], list[str]]:
    """Return the cases whose image occurs once; copies under other names would cross folds.

    Args:
        cases: all cases.
        roles: the images among a case's sources.
    """
    seen: dict[str, list[Case]] = {}
    for case in cases:
        for role in set(roles) & set(case.sources):
            seen.setdefault(case.sources[role], []).append(case)
    copies = [twins for twins in seen.values() if len(twins) > 1]
    problems = [
        f"{' and '.join(twin.where for twin in twins)} hold the same image; take one away"
        for twins in copies
    ]
    bad = {twin.name for twins in copies for twin in twins}
    return [case for case in cases if case.name not in bad], problems


def stop_at(problems: Sequence[str], left: Mapping[str, object] | Sequence[object],
            go_on: bool) -> None:  # fmt: skip
    """Raise all problems together, unless the user keeps going and something is left."""
    if problems and not (left and go_on):
        raise together(problems)
