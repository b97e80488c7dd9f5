"""Source folders with images in one tree and masks in another."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset_conversion.datasets.file_kinds import kind_of, named_volume, scratch, stem, words
from dataset_conversion.datasets.name_pairs import Item, Names
from dataset_conversion.datasets.source_files import children, files_below, listed
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.label_maps import looks_like_labels
from dataset_conversion.io.volumes import data_files, is_volume

_IMAGES = re.compile(
    r"images?|imagest[rs]|imgs?|scans?|cts?|mrs?|mris?|volumes?|vols?|data|raw|nii|nifti|bilder|图像|影像",
    re.IGNORECASE,
)
_MASKS = re.compile(
    r"masks?|masken|msks?|segs?|segmentations?|segmentierung(en)?|labels?|labelst[rs]|labelmaps?"
    r"|annotations?|gts?|ground|groundtruths?|truths?|rois?|contours?|delineations?|manual"
    r"|掩膜|掩码|掩模|标签|标注|分割",
    re.IGNORECASE,
)
_PARTS = re.compile(
    r"train(ing)?|tr|val(idation)?|test(ing)?|ts|all|files?|nii|nifti", re.IGNORECASE
)
_SUBJECT = re.compile(r"sub-[A-Za-z0-9]+", re.IGNORECASE)
#: Folders of BIDS that hold neither images nor masks.
_BIDS_OTHERS = frozenset(("sourcedata", "code", "phenotype", "stimuli", "logs", "docs"))
#: Entities of BIDS that describe a mask, not the scan that it was drawn on.
_OF_MASKS = ("seg-", "desc-", "label-", "space-", "res-", "den-", "atlas-")


@dataclass(frozen=True)
class Trees:
    """The folders of images and of masks.

    Attributes:
        layout: for messages.
        images: folders of images.
        masks: folders of masks.
        bids: whether a subfolder sub-x is a patient.
        others: folders next to them that hold images too.
        next: whether the images are the folders of patients, next to that of the masks.
    """

    layout: str
    images: tuple[Path, ...]
    masks: tuple[Path, ...]
    bids: bool = False
    others: tuple[Path, ...] = ()
    next: bool = False


def find_trees(folders: Sequence[Path], pattern: str) -> Trees | None:
    """Return the trees that a source's folders are, or None if they are not trees.

    `pattern` is a regular expression in the names of masks.

    Raises:
        DatasetError: several folders of BIDS hold masks.
    """
    return _bids(folders) or _two(folders, pattern) or _masks_next(folders, Names(pattern))


def _bids(folders: Sequence[Path]) -> Trees | None:
    by_name = {folder.name.lower(): folder for folder in folders}
    subjects = [folder for folder in folders if _SUBJECT.fullmatch(folder.name)]
    if "derivatives" not in by_name or not ("rawdata" in by_name or subjects):
        return None
    masks = _subject_folders(by_name["derivatives"])
    if len(masks) > 1:
        shown = ", ".join(str(folder) for folder in masks)
        raise DatasetError(
            f"{shown}: {len(masks)} folders of masks in BIDS' derivatives; keep one of them in the source"
        )
    raw = by_name.get("rawdata")
    images = tuple(_subject_folders(raw)) if raw else tuple(subjects)
    layout = "BIDS (images in rawdata or sub-*, masks in derivatives)"
    rest = [folder for name, folder in by_name.items()
            if folder not in subjects and name not in ("rawdata", "derivatives", *_BIDS_OTHERS)]  # fmt: skip
    return Trees(layout, images, tuple(masks), True, _full(rest))


def _subject_folders(folder: Path, levels: int = 3) -> list[Path]:
    """Return the folders that hold sub-*: a folder, or those below it down to a number of levels."""
    below = [path for path in children(folder, True) if path.is_dir()]
    if not (below and levels) or any(_SUBJECT.fullmatch(path.name) for path in below):
        return [folder]
    return [found for path in below for found in _subject_folders(path, levels - 1)]


def _two(folders: Sequence[Path], pattern: str) -> Trees | None:
    masks = [folder for folder in folders if _is_tree(folder.name, _MASKS)]
    images = [f for f in folders if f not in masks and _is_tree(f.name, _IMAGES)]
    rest = [folder for folder in folders if folder not in (*masks, *images)]
    if images and rest and all(re.search(pattern, f.name, re.IGNORECASE) for f in rest):
        masks, rest = [*masks, *rest], []
    if not images or not (masks or (not rest and any(_several(folder) for folder in images))):
        return None
    layout = f"images in {_shown(images)}" + (f" and masks in {_shown(masks)}" if masks else "")
    return Trees(layout, tuple(images), tuple(masks), False, _full(rest))


def _masks_next(folders: Sequence[Path], names: Names) -> Trees | None:
    """Return patients' folders and one folder with masks of at least one of them, by their names."""
    masks = [folder for folder in folders if _is_tree(folder.name, _MASKS)]
    patients = [folder for folder in folders if folder not in masks]
    if len(masks) != 1 or not patients:
        return None
    known = {names.key(patient.name) for patient in patients} - {()}
    if not known & {names.key(stem(path.name)) for path in children(masks[0], True)}:
        return None
    layout = f"masks in {_shown(masks)} next to the patients' folders"
    return Trees(layout, tuple(patients), tuple(masks), next=True)


def same_names(folders: Sequence[Path]) -> tuple[Path, ...]:
    """Return two folders with several volumes of the same names, only one with label maps; else nothing."""
    if len(folders) != 2:
        return ()
    volumes = [[p for p in sorted(listed(f)) if is_volume(p) and p.is_file()] for f in folders]
    names = [[stem(path.name) for path in found] for found in volumes]
    if names[0] != names[1] or len(names[0]) < 2:
        return ()
    labels = [{_labels(found[0]), _labels(found[-1])} for found in volumes]
    return tuple(folders) if sorted(map(sorted, labels)) == [[False], [True]] else ()


def _labels(path: Path) -> bool:
    try:
        return looks_like_labels(path)
    except DatasetError:  # reported when it is read
        return False


def _full(folders: Sequence[Path]) -> tuple[Path, ...]:
    return tuple(folder for folder in folders if holds_data(folder))


def holds_data(folder: Path) -> bool:
    """Check whether images or archives are below a folder."""
    kinds = ("volumes", "dicom", "unread", "archives")
    return any(kind_of(path) in kinds for path in files_below(folder, True))


def _several(folder: Path) -> bool:
    """Check whether a folder holds volumes of several patients."""
    return sum(named_volume(path.name) for path in children(folder, True)) > 1


def _shown(folders: Sequence[Path]) -> str:
    return ", ".join(f"{folder.name}/" for folder in folders)


def _is_tree(name: str, role: re.Pattern[str]) -> bool:
    found = [word[0] for word in words(name)]
    own = [word for word in found if role.fullmatch(word)]
    other = (_IMAGES, _MASKS, _PARTS)
    return bool(own) and all(any(kind.fullmatch(word) for kind in other) for word in found)


def image_items(trees: Trees, follow_links: bool) -> list[Item]:
    """Return the images of the trees: files, and folders that hold one image each."""
    if trees.next:
        return [Item(tree.name, (tree,), tree.name) for tree in trees.images]
    items = []
    for tree in trees.images:
        for path in [tree] if _is_subject(trees, tree) else _children(tree, follow_links):
            volumes = _volumes(path, follow_links)
            if path.is_dir() and len(volumes) < 2:
                items.append(Item(path.name, (path,), path.name))
            elif path.is_dir() or volumes or kind_of(path) in ("dicom", "archives"):
                items += _each(trees, path, volumes or [path])
    return items


def mask_items(trees: Trees, images: Sequence[Item], names: Names,
               follow_links: bool) -> list[Item]:  # fmt: skip
    """Return the masks of the trees: a folder with the name of an image, else each file."""
    known = {names.key(item.name) for item in images}
    items = []
    for tree in trees.masks:
        for path in _children(tree, follow_links):
            if path.is_dir() and names.key(path.name) in known:
                items.append(Item(path.name, (path,)))
            else:
                items += _each(trees, path, _not_side(path, follow_links))
    return items


def _is_subject(trees: Trees, tree: Path) -> bool:
    return trees.bids and bool(_SUBJECT.fullmatch(tree.name))


def _volumes(path: Path, follow_links: bool) -> list[Path]:
    """Return a file, or the files below a folder, that are volumes by name, read or not."""
    return _headers([file for file in files_below(path, follow_links) if named_volume(file.name)])


def count_volumes(folders: Sequence[Path]) -> int:
    """Return the number of files below folders that are volumes by name."""
    return sum(len(_volumes(folder, True)) for folder in folders)


def _not_side(path: Path, follow_links: bool) -> list[Path]:
    """Return a file, or the files below a folder, that may hold a mask."""
    files = files_below(path, follow_links)
    return _headers([file for file in files if kind_of(file) != "side" and not scratch(file.name)])


def _children(tree: Path, follow_links: bool) -> list[Path]:
    """Return the files and folders in a tree, without the data files of MetaImage headers."""
    return _headers(children(tree, follow_links))


def _headers(files: Sequence[Path]) -> list[Path]:
    data = data_files([file for file in files if is_volume(file) and file.is_file()])
    return [file for file in files if file not in data]


def _each(trees: Trees, path: Path, files: Sequence[Path]) -> list[Item]:
    group = path.name if path.is_dir() else ""
    return [Item(_name(trees, path, file), (file,), group) for file in files]


def _name(trees: Trees, folder: Path, file: Path) -> str:
    """Return the name of a file in a tree: its path below the tree or, in BIDS, its scan's entities."""
    if not trees.bids:
        inside = file.relative_to(folder.parent)
        return inside.with_name(stem(file.name)).as_posix()
    parts = stem(file.name).split("_")
    return "_".join(p for p in parts if "-" in p and not p.lower().startswith(_OF_MASKS))
