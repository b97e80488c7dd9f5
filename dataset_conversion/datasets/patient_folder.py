"""Find the image and the mask in one patient's folder."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dataset_conversion.cases.mask_alignment import is_part
from dataset_conversion.dicom.series import Series, find_series
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.label_maps import is_slicer, looks_like_labels
from dataset_conversion.io.volumes import UNREADABLE, is_volume, read_header

_SYSTEM_FILES = frozenset(("thumbs.db", "desktop.ini", "dicomdir"))


@dataclass(frozen=True)
class Patient:
    """The image of a patient (a file or a DICOM series) and its mask, if there is one."""

    folder: Path
    image: Path | Series
    mask: Path | None
    notes: tuple[str, ...] = ()

    @property
    def image_files(self) -> tuple[Path, ...]:
        """All files of the image."""
        return self.image.paths if isinstance(self.image, Series) else (self.image,)


def ignored(name: str) -> bool:
    """Check whether a file or folder is not data: dot files, temporary and system files.

    >>> ignored(".DS_Store"), ignored("ct.nii.gz")
    (True, False)
    """
    low = name.lower()
    return low.startswith(".") or ".tmp" in low or low in _SYSTEM_FILES


def check_folder(source: Path, expected: str) -> None:
    """Reject a source that is not a folder, e.g. an archive; `expected` describes the folder."""
    if source.is_file():
        raise DatasetError(
            f"{source}: is a file; unpack it if it is an archive, and pass {expected}"
        )
    if not source.is_dir():
        raise DatasetError(f"{source}: no such folder; pass {expected}")


def patient_folders(source: Path) -> list[Path]:
    """Return the patients' folders in a source folder, sorted.

    Raises:
        DatasetError: not a folder, no patients, or images outside a patient's folder.
    """
    check_folder(source, "the folder that holds the patients")
    entries = sorted(path for path in listed(source) if not ignored(path.name))
    loose = [path for path in entries if path.is_file() and _is_data(path)]
    if loose:
        raise DatasetError(
            f"{source}: {len(loose)} images are not in a patient's folder ({loose[0].name}, ...); put each "
            "patient's image and mask into a separate folder"
        )
    for path in entries:
        _refuse_link(path)
    folders = [path for path in entries if path.is_dir()]
    if not folders:
        raise DatasetError(f"{source}: holds no patients; expected one folder per patient")
    return folders


def read_patient(folder: Path, *, mask_pattern: str, modality: str, series: str | None,
                 images_only: bool = False) -> Patient:  # fmt: skip
    """Find a patient's image and mask by name or, if names are ambiguous, by content.

    Args:
        folder: the patient's folder.
        mask_pattern: regular expression in the names of masks; case is ignored.
        modality: DICOM Modality.
        series: DICOM series to use if there are several, see `find_series`.
        images_only: pass over masks, however many there are.

    Raises:
        DatasetError: no image or several, several masks, links, unreadable files, and the errors
            of `find_series`.
    """
    files = _files(folder)
    strange = [path for path in files if path.name.lower().endswith(UNREADABLE)]
    if strange:
        raise DatasetError(
            f"{folder}: {_names(strange, folder)}: this format is not read; convert it to "
            ".nii.gz, .nrrd or .mha, or remove it"
        )
    volumes = [path for path in files if is_volume(path)]
    others = [path for path in files if not is_volume(path)]
    masks = [p for p in volumes if is_slicer(p) or re.search(mask_pattern, p.name, re.IGNORECASE)]
    fits = partial(_aligned, masks[0]) if len(masks) == 1 else None
    found, notes = find_series(
        others, str(folder), modality=modality, description=series, fits=fits
    )
    images: list[Path | Series] = [path for path in volumes if path not in masks]
    if found is not None:
        images.append(found)
    if len(images) + len(masks) == 2 and len(images) != 1:
        images, masks = _by_content(images, masks, folder)
    if images_only:
        images, masks, notes = _without_masks(images, masks, notes)
    _check_counts(images, masks, folder)
    return Patient(folder, images[0], masks[0] if masks else None, tuple(notes))


def _aligned(mask: Path, series: Series) -> bool:
    """Check whether a mask's header puts it on a series' grid; a damaged one is reported later."""
    try:
        header = read_header(mask)
    except DatasetError:
        return False
    return is_part(header.matrix, header.size, series.affine, series.size)


def _by_content(images: Sequence[Path | Series], masks: Sequence[Path],
                folder: Path) -> tuple[list[Path | Series], list[Path]]:  # fmt: skip
    """Find the mask among two volumes by content: exactly one may look like labels."""
    both = [*images, *masks]
    labels = [p for p in both if isinstance(p, Path) and (is_slicer(p) or looks_like_labels(p))]
    if len(labels) != 1:
        raise DatasetError(
            f"{folder}: cannot find out which one is the mask: {_names(both, folder)}; pass "
            "--mask-pattern with a pattern that occurs only in the names of masks"
        )
    return [p for p in both if p is not labels[0]], labels


def _without_masks(images: list[Path | Series], masks: Sequence[Path],
                   notes: Sequence[str]) -> tuple[list[Path | Series], list[Path], list[str]]:  # fmt: skip
    """Pass over masks: those that were found, and among several volumes those that look like labels."""
    kept = [p for p in images if not (isinstance(p, Path) and looks_like_labels(p))]
    if len(images) == 1 or not kept:
        kept = images
    count = len(masks) + len(images) - len(kept)
    return kept, [], [*notes, *(["masks in its folder are passed over"] if count else [])]


def _check_counts(images: Sequence[Path | Series], masks: Sequence[Path], folder: Path) -> None:
    if len(masks) > 1:
        raise DatasetError(
            f"{folder}: {len(masks)} masks, expected one: {_names(masks, folder)}; keep one, or "
            "narrow --mask-pattern"
        )
    if len(images) > 1:
        raise DatasetError(
            f"{folder}: {len(images)} images, expected one: {_names(images, folder)}; keep one "
            "(each patient needs a separate folder), or make --mask-pattern match the masks"
        )
    if not images and masks:
        raise DatasetError(
            f"{folder}: a mask without its image: {_names(masks, folder)}; add the image, or "
            "change --mask-pattern if this is the image"
        )
    if not images:
        raise DatasetError(
            f"{folder}: no image found (a DICOM series, .nii, .nii.gz, .nrrd or .mha); add it, or "
            "remove the folder"
        )


def _files(folder: Path) -> list[Path]:
    found = []
    for path in sorted(listed(folder)):
        if ignored(path.name):
            continue
        _refuse_link(path)
        found += _files(path) if path.is_dir() else [path]
    return found


def listed(folder: Path) -> list[Path]:
    """Return the entries of a folder."""
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise DatasetError(f"{folder}: cannot be listed ({error.strerror})") from error


def _refuse_link(path: Path) -> None:
    if path.is_symlink():
        gone = "" if path.exists() else " to nowhere"
        raise DatasetError(
            f"{path}: a symbolic link{gone}; replace it with the file or folder itself (a link may "
            "leave the folder, or show one patient twice)"
        )
    if not os.access(path, os.R_OK):
        raise DatasetError(f"{path}: permission denied; fix its permissions")


def _is_data(path: Path) -> bool:
    if is_volume(path):
        return True
    try:
        with path.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _names(items: Sequence[Path | Series], folder: Path) -> str:
    shown = [
        f"a DICOM series of {len(item.slices)} slices"
        if isinstance(item, Series)
        else str(item.relative_to(folder))
        for item in items
    ]
    return ", ".join(shown)
