"""Recognise how a source folder is laid out, and return its patients.

| layout | example |
|---|---|
| a folder per patient | P1/ct.nii.gz, P1/mask.nii.gz |
| images and masks in two folders | images/P1.nii.gz, labels/P1.nii.gz |
| BIDS, as VerSe | rawdata/sub-1/sub-1_ct.nii.gz, derivatives/sub-1/sub-1_seg-vert_msk.nii.gz |
| one folder for all | P1_ct.nii.gz, P1_mask.nii.gz |
| masks next to the patients' folders | P1/IM0001, P1_mask.nii.gz |
| masks in a folder next to those of the patients | P1/IM0001, masks/P1.nii.gz |

In all but the first, images and masks are paired by their names, see `name_pairs`. BIDS:
https://bids-specification.readthedocs.io, VerSe: https://github.com/anjany/verse.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dataset_conversion.datasets.entries import Entry, folder_entry, problem_entry
from dataset_conversion.datasets.file_kinds import kind_of, named_mask, stem
from dataset_conversion.datasets.name_pairs import (
    Item,
    Match,
    Names,
    channel_of,
    file_items,
    match,
    without_channel,
    without_folders,
)
from dataset_conversion.datasets.source_files import check_folder, children, listed
from dataset_conversion.datasets.trees import (
    Trees,
    count_volumes,
    find_trees,
    holds_data,
    image_items,
    mask_items,
    same_names,
)
from dataset_conversion.errors import DatasetError, together
from dataset_conversion.io.volumes import data_files, is_volume

_FLAT = "images and masks in one folder"
_NEXT = "masks next to the patients' folders"


def find_entries(source: Path, pattern: str, follow_links: bool = False,
                 images_only: bool = False) -> tuple[list[Entry], list[str]]:  # fmt: skip
    """Return the patients in a source folder, and notes on its layout.

    `pattern` is a regular expression in the names of masks, in any letter case. `images_only` passes over the
    masks of paired layouts.

    Raises:
        DatasetError: not a folder, no patients, several layouts at once, no names that pair images
            and masks, or links.
    """
    check_folder(source, "the folder that holds the patients")
    found = children(source, follow_links)
    folders = [path for path in found if path.is_dir()]
    loose = [path for path in found if not path.is_dir()]
    files = _volumes(loose)
    trees = find_trees(folders, pattern)
    entries, notes = _entries(
        source, folders, loose, files, trees, pattern, follow_links, images_only
    )
    return [*entries, *_archives(folders, loose)], [*notes, *_temporary(source)]


def _entries(source: Path, folders: Sequence[Path], loose: Sequence[Path], files: Sequence[Path],
             trees: Trees | None, pattern: str, follow_links: bool,
             images_only: bool) -> tuple[list[Entry], list[str]]:  # fmt: skip
    """Return the entries of the layout that a source has."""
    if trees:
        _refuse_others(source, trees)
        _refuse(source, files, f"next to {trees.layout}; move them into these folders")
        images = image_items(trees, follow_links)
        masks = [] if images_only else mask_items(trees, images, Names(pattern), follow_links)
        return _paired(source, trees.layout, images, masks, pattern, follow_links, trees.next)
    if files and not folders:
        return _flat(source, files, loose, pattern, images_only)
    if files and all(named_mask(path.name, pattern) for path in files):
        images = [Item(path.name, (path,), path.name) for path in folders]
        masks = [] if images_only else file_items(files)
        return _paired(source, _NEXT, images, masks, pattern, follow_links, inside=True)
    _refuse(source, files, "not in a patient's folder; put each patient's image and mask into a "
            "separate folder")  # fmt: skip
    return _folders(source, folders, loose, follow_links)


def check_not_a_source(folder: Path, pattern: str) -> None:
    """Reject a patient's folder that is itself a source of another layout.

    Raises:
        DatasetError: its subfolders are trees of masks and of several images.
    """
    if not folder.is_dir():
        return
    trees = find_trees([path for path in children(folder, True) if path.is_dir()], pattern)
    if trees and trees.masks and not trees.others and count_volumes(trees.images) > 1:
        raise DatasetError(
            f"{folder}: not one patient's folder, but {trees.layout}; pass it as the source"
        )


def _folders(source: Path, folders: Sequence[Path], loose: Sequence[Path],
             follow_links: bool) -> tuple[list[Entry], list[str]]:  # fmt: skip
    """Return one entry for each folder."""
    if not folders:
        shown = [entry.problem for entry in _archives(folders, loose)]
        raise together([f"{source}: holds no patients; expected one folder per patient", *shown])
    if twins := same_names(folders):
        raise DatasetError(
            f"{source}: files of the same names are in {' and '.join(f'{folder.name}/' for folder in twins)}, as if "
            "images were in one folder and masks in the other, but their names do not state which; rename them to "
            "images and masks"
        )
    notes = []
    if any(path.name.lower() == "dicomdir" for path in listed(source)):
        full = [folder for folder in folders if holds_data(folder)]
        if full and len(full) < len(folders):
            notes = ["folders of a DICOM CD without images were passed over"]
            folders = full
    return [folder_entry(path, follow_links) for path in folders], notes


def _archives(folders: Sequence[Path], loose: Sequence[Path]) -> list[Entry]:
    """Return an entry for each archive that is not unpacked."""
    names = {folder.name for folder in folders}
    return [problem_entry(path, f"{path}: an archive; unpack it into a folder, or remove it")
            for path in loose if kind_of(path) == "archives" and stem(path.name) not in names]  # fmt: skip


def _temporary(source: Path) -> list[str]:
    """Return a note on folders that are passed over as temporary, but hold data."""
    found = [path for path in listed(source)
             if ".tmp" in path.name.lower() and path.is_dir() and holds_data(path)]  # fmt: skip
    return [f"temporary folders (.tmp) with images, passed over: {len(found)}"] if found else []


def _volumes(loose: Sequence[Path]) -> list[Path]:
    """Return the volumes and DICOM files among the files of a source."""
    found = [path for path in loose if kind_of(path) in ("volumes", "dicom", "unread")]
    data = data_files([path for path in found if is_volume(path)])
    return [path for path in found if path not in data]


def _refuse_others(source: Path, trees: Trees) -> None:
    if trees.others:
        shown = ", ".join(folder.name for folder in trees.others)
        raise DatasetError(
            f"{source}: recognised as {trees.layout}, but other folders hold images too: {shown}; move them away"
        )


def _refuse(source: Path, files: Sequence[Path], problem: str) -> None:
    if files:
        shown = ", ".join(path.name for path in files[:3]) + (", ..." if len(files) > 3 else "")
        raise DatasetError(f"{source}: {len(files)} images are {problem} ({shown})")


def _flat(source: Path, files: Sequence[Path], loose: Sequence[Path], pattern: str,
          images_only: bool) -> tuple[list[Entry], list[str]]:  # fmt: skip
    """Pair the files of a folder that holds all patients."""
    dicom = [path for path in files if kind_of(path) == "dicom"]
    names = Names(pattern)
    if dicom or all(not names.key(stem(path.name)) for path in files):
        raise DatasetError(
            f"{source}: {len(files)} images are not in a patient's folder ({files[0].name}, ...); pass the "
            "folder that contains the patients' folders, or put each patient's files into a separate folder"
        )
    unread = [path for path in loose
              if kind_of(path) in ("others", "pictures", "temporary")
              and named_mask(path.name, pattern)]  # fmt: skip
    masks = [path for path in files if named_mask(path.name, pattern)]
    images = [path for path in files if path not in masks]
    found = [] if images_only else file_items([*masks, *unread])
    return _paired(source, _FLAT, file_items(images), found, pattern)


def _paired(source: Path, layout: str, images: Sequence[Item], masks: Sequence[Item], pattern: str,
            follow_links: bool = False, inside: bool = False) -> tuple[list[Entry], list[str]]:  # fmt: skip
    """Pair images and masks by name; what is not unique becomes an entry with a problem.

    With `inside`, images are patients' folders, which may hold their masks.
    """
    if not images:
        raise DatasetError(f"{source}: recognised as {layout}, but there are no images; add them")
    names = Names(pattern)
    _check_channels(source, images, masks)
    images = without_channel(images, masks, names)
    pairs, problems = _matched(images, masks, names)
    drawn = sum(pair.mask is not None for pair in pairs)
    if masks and not drawn:
        raise DatasetError(_unpaired(source, layout, images, masks, problems))
    entries = [
        Entry(
            name=(name := names.common(pair.image.name) or pair.image.name),
            where=pair.image.paths[0],
            paths=pair.image.paths,
            masks=pair.mask.paths if pair.mask else (None if inside else ()),
            group=pair.image.group or name.casefold(),
            follow_links=follow_links,
        )
        for pair in pairs
    ]
    note = f"{layout}, paired by name: {drawn} pairs, {len(pairs) - drawn} images without a mask"
    if inside and drawn < len(pairs):
        note = f"{layout}, paired by name: {drawn} pairs, {len(pairs) - drawn} images without a mask there"
    notes = [note] if masks else []
    return [*entries, *(problem_entry(source, problem) for problem in problems)], notes


def _matched(images: Sequence[Item], masks: Sequence[Item],
             names: Names) -> tuple[list[Match], list[str]]:  # fmt: skip
    """Pair images and masks; if none has a partner, without the names of folders within the trees."""
    pairs, problems = match(images, masks, names)
    if not masks or any(pair.mask for pair in pairs):
        return pairs, problems
    found, others = match(
        without_folders(images, names) or images, without_folders(masks, names) or masks, names
    )
    return (found, others) if any(pair.mask for pair in found) else (pairs, problems)


def _unpaired(source: Path, layout: str, images: Sequence[Item], masks: Sequence[Item],
              problems: Sequence[str]) -> str:  # fmt: skip
    """Return the message for trees in which no image has a mask."""
    shared = [text for text in problems if "have the same name" in text]
    if shared:
        return str(together(shared))
    first = images[0].paths[0]
    loose = first.is_file() and kind_of(first) == "dicom"
    fix = (
        "put the slices of each patient into a folder with the name of its mask"
        if loose
        else "rename them"
    )
    return (
        f"{source}: recognised as {layout}, but no image and mask have the same name apart from words "
        f"such as ct and mask, e.g. {first.relative_to(source)} and "
        f"{masks[0].paths[0].relative_to(source)}; {fix}"
    )


def _check_channels(source: Path, images: Sequence[Item], masks: Sequence[Item]) -> None:
    """Reject images in several channels of nnU-Net without masks, which would show the channels by their names."""
    found: dict[str, list[str]] = {}
    for name, channel in (channel_of(image.name) for image in images):
        found.setdefault(name, []).append(channel)
    first = sorted(next(iter(found.values())))
    if (
        not masks
        and len(found) > 1
        and first[:2] == ["0000", "0001"]
        and all(sorted(channels) == first for channels in found.values())
    ):
        raise DatasetError(
            f"{source}: {len(found)} images of {len(first)} channels each (_{', _'.join(first)}), expected one; "
            "keep the files of one channel"
        )
