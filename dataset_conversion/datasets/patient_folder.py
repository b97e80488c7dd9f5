"""Find the image and the mask in one patient's folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dataset_conversion.datasets.entries import Entry, folder_entry
from dataset_conversion.datasets.file_kinds import (
    SortedFiles,
    check_formats,
    check_passed_over,
    sort_files,
)
from dataset_conversion.datasets.layouts import check_not_a_source
from dataset_conversion.datasets.mask_files import MaskFiles, find_mask_files
from dataset_conversion.datasets.mask_source import MaskSource
from dataset_conversion.datasets.one_patient import check_one_patient
from dataset_conversion.datasets.structure_files import Search
from dataset_conversion.dicom.headers import may_be_dicom
from dataset_conversion.dicom.patients import names_of
from dataset_conversion.dicom.series import SCOUTS, Series, find_series
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.label_maps import is_slicer, looks_like_labels
from dataset_conversion.io.segments import PLAIN, Reading
from dataset_conversion.io.volumes import Header, files_of, read_header, read_volume

_FEW = 50  # distinct values; label maps have fewer, images more


@dataclass(frozen=True)
class Patient:
    """The image of a patient (a file or a DICOM series) and its mask, if there is one.

    Attributes:
        folder: the patient's folder, or the image's file where patients have no folders.
        image: a volume or a DICOM series.
        mask: its files and how they are read.
        notes: for the user.
        name: see `Entry`.
        group: see `Entry`.
    """

    folder: Path
    image: Path | Series
    mask: MaskSource | None
    notes: tuple[str, ...] = ()
    name: str = ""
    group: str = ""

    @property
    def image_files(self) -> tuple[Path, ...]:
        """All files of the image."""
        return self.image.paths if isinstance(self.image, Series) else files_of(self.image)

    def texts(self) -> list[str]:
        """Return the names and ids of the patient, to compare with other texts; never to be written."""
        slices = self.image.paths[:1] if isinstance(self.image, Series) else ()
        masks = self.mask.files if self.mask else ()
        files = [path for path in (*slices, *masks) if may_be_dicom(path)]
        return [self.name, self.group, *(text for path in files for text in names_of(path))]

    @property
    def grid(self) -> Header:
        """Size and geometry of the image, from its headers."""
        if isinstance(self.image, Series):
            return Header(self.image.size, self.image.affine)
        return read_header(self.image)


def read_patient(place: Entry | Path, *, mask_pattern: str, modality: str, series: str | None,
                 reading: Reading = PLAIN, images_only: bool = False) -> Patient:  # fmt: skip
    """Find a patient's image and mask by name or, if names are ambiguous, by content.

    `mask_pattern` is a regular expression in the names of masks, in any letter case. `modality` and `series`
    are those of `find_series`. `images_only` passes over masks, however many there are.

    Raises:
        DatasetError: no image or several, several masks, a mask that is not read, DICOM files of
            several patients, links, unreadable files, and the errors of `find_series`.
    """
    entry = place if isinstance(place, Entry) else folder_entry(place)
    folder = entry.where
    own, drawn = entry.files()
    files, apart = sort_files(own), sort_files(drawn or [])
    check_formats(files, str(folder))
    check_formats(apart, str(folder))
    if drawn is None and len(files.volumes) > 2:
        check_not_a_source(folder, mask_pattern)
    volumes, named, notes = _roles(files, apart, mask_pattern, paired=drawn is not None)
    search = Search(folder, entry.name, mask_pattern, reading, series)
    drawn_dicom = None if drawn is None else apart.dicom
    candidates = files.volumes if drawn is None else apart.volumes
    masks = find_mask_files(search, candidates, named, files.dicom, drawn_dicom)
    found, more = _series(
        masks.dicom.images, folder, modality=modality, description=series, fits=masks.fits()
    )
    volumes = [path for path in volumes if path not in masks.files]
    images: list[Path | Series] = [*volumes, *([found] if found else [])]
    if images_only:
        images, passed = _without_masks(images, bool(masks))
        _check_counts(images, masks.files, folder, more)
        notes += [*more, *passed]
        return Patient(folder, images[0], None, tuple(notes), entry.name, entry.group)
    unclear = len(images) + len(masks.volumes) == 2 and len(images) != 1
    if drawn is None and unclear and masks.plain:
        images, labels = _by_content(images, masks.volumes, folder)
        masks = replace(masks, volumes=tuple(labels))
    masks.check_unread(files, apart)
    notes += [*more, *_not_read(files, apart, folder, mask_pattern, bool(images), bool(masks))]
    _check_place(entry, images, masks, mask_pattern)
    _check_counts(images, masks.files, folder, more)
    if drawn == [] and isinstance(images[0], Path):
        check_not_labels(images[0])
    mask, more = masks.source(images[0])
    notes += more
    return Patient(folder, images[0], mask, tuple(notes), entry.name, entry.group)


def _roles(files: SortedFiles, apart: SortedFiles, pattern: str,
           paired: bool) -> tuple[list[Path], list[Path], list[str]]:  # fmt: skip
    """Return images, masks and notes: by place where masks have their own, else by name."""
    if not paired:
        masks = [path for path in files.volumes if is_slicer(path) or _fits(path, pattern)]
        return [path for path in files.volumes if path not in masks], masks, []
    masks = list(apart.volumes)
    fitting = [path for path in masks if _fits(path, pattern)]
    if len(masks) > 1 and 0 < len(fitting) < len(masks):
        return list(files.volumes), fitting, ["volumes next to the mask were passed over"]
    return list(files.volumes), masks, []


def _fits(path: Path, pattern: str) -> bool:
    return re.search(pattern, path.name, re.IGNORECASE) is not None


def _series(files: Sequence[Path], folder: Path, **how: Any) -> tuple[Series | None, list[str]]:
    """Find the series among DICOM files of one patient; see `find_series`."""
    try:
        found, notes = find_series(files, str(folder), **how)
    except DatasetError:
        check_one_patient(files, folder)  # several series are often several patients
        raise
    used = len(found.paths) if found else 0
    if used < len(files) or (found and len({item.patient for item in found.slices}) > 1):
        check_one_patient(files, folder)
    return found, notes


def _not_read(files: SortedFiles, apart: SortedFiles, folder: Path, pattern: str, image: bool,
              mask: bool) -> list[str]:  # fmt: skip
    """Reject files that may be the missing image or mask; return notes on others."""
    notes = check_passed_over(files, folder, pattern, image=image, mask=mask)
    # Every file in the place of a mask may be one.
    more = check_passed_over(apart, folder, "" if not mask else pattern, image=True, mask=mask)
    return list(dict.fromkeys([*notes, *more]))


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


def _check_place(entry: Entry, images: Sequence[Path | Series], masks: MaskFiles,
                 pattern: str) -> None:  # fmt: skip
    """Reject a place for a mask that holds none, and a second mask next to the image."""
    if not entry.masks:
        return
    if not masks:
        raise DatasetError(
            f"{entry.where}: the place of its mask, {entry.masks[0]}, holds none; add it, or remove this place"
        )
    own = [path for path in images if isinstance(path, Path) and _fits(path, pattern)]
    if own and len(own) == len(images) - 1:
        found = [*(path.relative_to(entry.where.parent) for path in own), *masks.files[:1]]
        raise DatasetError(
            f"{entry.where}: {len(own) + 1} masks, expected one: {', '.join(map(str, found))}; keep one"
        )


def _without_masks(
    images: list[Path | Series], masked: bool
) -> tuple[list[Path | Series], list[str]]:
    """Pass over masks: those that were found, and among several volumes those that look like labels."""
    kept = [p for p in images if not (isinstance(p, Path) and looks_like_labels(p))]
    if len(images) == 1 or not kept:
        kept = images
    passed = masked or len(kept) < len(images)
    return kept, ["masks in its folder are passed over"] if passed else []


def _check_counts(images: Sequence[Path | Series], masks: Sequence[Path], folder: Path,
                  seen: Sequence[str]) -> None:  # fmt: skip
    if len(images) > 1:
        found = f"{folder}: {len(images)} images, expected one: {_names(images, folder)}"
        if _in_separate_folders(images, folder):
            raise DatasetError(
                f"{found}; pass {folder} as the source if its folders are patients, else keep one image"
            )
        raise DatasetError(
            f"{found}; keep one (each patient needs a separate folder), make --mask-pattern match the masks, or "
            "name the structures in --labels if each file is the mask of one"
        )
    if not images and SCOUTS in seen:
        raise DatasetError(
            f"{folder}: all its DICOM images are scouts (LOCALIZER in ImageType); add the series, or take them with "
            "--series and a part of their description"
        )
    if not images and masks:
        raise DatasetError(
            f"{folder}: a mask without its image: {_names(masks, folder)}; add the image, or "
            "change --mask-pattern if this is the image"
        )
    if not images:
        raise DatasetError(
            f"{folder}: no image found (a DICOM series, .nii, .nii.gz, .nrrd, .mha or .mhd); add it, or "
            "remove the folder"
        )


def _in_separate_folders(images: Sequence[Path | Series], folder: Path) -> bool:
    """Check whether each image has a subfolder of its own, as those of several patients do."""
    paths = [item.paths[0] if isinstance(item, Series) else item for item in images]
    below = [path.relative_to(folder).parts for path in paths if path.is_relative_to(folder)]
    first = {parts[0] for parts in below if len(parts) > 1}
    return len(first) == len(paths)


def check_not_labels(path: Path) -> None:
    """Reject an image without a mask that looks like a label map: its own image is missing."""
    values = np.unique(read_volume(path).values)
    if len(values) <= _FEW and values.min() >= 0 and (values == np.rint(values)).all():
        raise DatasetError(
            f"{path}: is taken for an image without a mask, but holds only {len(values)} distinct values; if it "
            "is a mask, give it the name of its image and a word such as mask, or pass --mask-pattern with a word "
            "that only masks have in their names; else remove it"
        )


def _names(items: Sequence[Path | Series], folder: Path) -> str:
    shown = [
        f"a DICOM series of {len(item.slices)} slices"
        if isinstance(item, Series)
        else str(item.relative_to(folder) if item.is_relative_to(folder) else item)
        for item in items
    ]
    return ", ".join(shown)
