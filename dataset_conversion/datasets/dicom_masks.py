"""Masks among a patient's DICOM files: SEG, RTSTRUCT, and series that hold labels."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dataset_conversion.datasets.file_kinds import in_mask_folder
from dataset_conversion.datasets.mask_source import MaskSource, joined
from dataset_conversion.datasets.structure_files import names_in
from dataset_conversion.dicom.label_stack import looks_binary, read_label_stack
from dataset_conversion.dicom.mask_objects import (
    RTSTRUCT,
    SEG,
    Identity,
    References,
    Role,
    identity_of,
    names_series,
    read_references,
    role_of,
    shares_frame,
)
from dataset_conversion.dicom.segmentation import read_segmentation
from dataset_conversion.dicom.series import Series, find_series
from dataset_conversion.dicom.structure_set import read_structure_set
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.label_maps import LabelMap
from dataset_conversion.io.segments import Reading
from dataset_conversion.io.volumes import Header

_READERS = {SEG: read_segmentation, RTSTRUCT: read_structure_set}


@dataclass(frozen=True)
class MaskObject:
    """A DICOM SEG or RTSTRUCT and what it refers to."""

    path: Path
    kind: str
    references: References


@dataclass(frozen=True)
class DicomFiles:
    """A patient's DICOM files by what they hold.

    Attributes:
        images: possible slices of the image, and files that are not DICOM.
        objects: SEG and RTSTRUCT.
        stacks: slices of series that are named as masks, by series description and folder.
    """

    images: tuple[Path, ...]
    objects: tuple[MaskObject, ...]
    stacks: dict[tuple[str, Path], list[Path]]

    def without_stacks(self) -> DicomFiles:
        """Return the files with all series as possible images."""
        stacked = [path for paths in self.stacks.values() for path in paths]
        return DicomFiles(tuple(sorted([*self.images, *stacked])), self.objects, {})

    def fits(
        self, who: str, binary: list[Series], *, masked: bool
    ) -> Callable[[Series], bool] | None:
        """Return a test of which of several series is the image, None if nothing shows it.

        `binary` receives the series of two values, which may be masks. `masked`: the patient has a mask of
        another kind.
        """
        if self.objects:
            return partial(_referred, self.objects)
        if masked or self.stacks:
            return None
        return partial(_not_binary, who, binary)


def split_dicom(files: Sequence[Path], apart: Sequence[Path], folder: Path, pattern: str,
                series: str | None) -> DicomFiles:  # fmt: skip
    """Separate the masks among a patient's DICOM files from its images.

    Files of `apart` are in a place that holds masks only. `pattern` is sought in the names of folders and in
    series descriptions, except in that of the image's series, of which `series` is a part.

    Raises:
        DatasetError: a damaged SEG or RTSTRUCT, or a segmentation that is not read.
    """
    images, objects = [], []
    stacks: dict[tuple[str, Path], list[Path]] = {}
    for path in (*files, *apart):
        role = role_of(path)
        if role is not None and role.kind is not None:
            if role.kind not in _READERS:
                raise DatasetError(
                    f"{path}: a DICOM {role.kind} is not read; export the mask as DICOM SEG, NIfTI or .seg.nrrd"
                )
            objects.append(MaskObject(path, role.kind, read_references(path)))
        elif path in apart or (role and _named_mask(path, role, folder, pattern, series)):
            stacks.setdefault((role.description if role else "", path.parent), []).append(path)
        else:
            images.append(path)
    return DicomFiles(tuple(sorted(images)), tuple(objects), stacks)


def _named_mask(path: Path, role: Role, folder: Path, pattern: str, series: str | None) -> bool:
    """Check whether a slice is that of a mask by its series description or its folder."""
    if series is not None and series.casefold() in role.description.casefold():
        return False
    by_name = re.search(pattern, role.description, re.IGNORECASE) is not None
    return by_name or in_mask_folder(path, folder, pattern)


def dicom_source(files: DicomFiles, binary: Sequence[Series], image: Path | Series, folder: Path,
                 pattern: str, how: Reading) -> tuple[MaskSource | None, list[str]]:  # fmt: skip
    """Return the mask in a patient's DICOM files, None without one, and notes.

    `binary` are series that `DicomFiles.fits` set aside; `pattern` is sought in the names of masks.

    Raises:
        DatasetError: an object refers to another series, or there are masks of several kinds.
    """
    who = str(folder)
    objects, notes = _of_image(files.objects, image, who)
    stacks = [
        (
            find_series(paths, who, modality=None)[0],
            description,
            place.name if place != folder else "",
        )
        for (description, place), paths in files.stacks.items()
    ]
    stacks += [(series, series.slices[0].description, "") for series in binary]
    if (objects and stacks) or len({item.kind for item in objects}) > 1:
        names = [item.path.name for item in objects]
        names += [f"the DICOM series {description!r}" for _, description, _ in stacks]
        raise DatasetError(f"{who}: {len(names)} masks, expected one: {', '.join(names)}; keep one")
    sources = [
        MaskSource((item.path,), partial(_READERS[item.kind], item.path, how=how))
        for item in objects
    ]
    for series, description, place in stacks:
        if series is not None:
            name = _structure((description, place), folder, pattern, how)
            title = f"{who}: DICOM series {description or place!r}"
            reader = partial(_read_stack, series, name, how, title)
            sources.append(MaskSource(series.paths, reader))
            notes.append("a DICOM series was read as the mask")
    return (joined(sources, how, who) if sources else None), list(dict.fromkeys(notes))


def _read_stack(series: Series, name: str, how: Reading, title: str, _: Header) -> LabelMap:
    return read_label_stack(series, name, how, title)


def _referred(objects: Sequence[MaskObject], series: Series) -> bool:
    """Check whether a mask object refers to a series: by name, or else by frame of reference."""
    identity = identity_of(series)
    if any(item.references.series or item.references.instances for item in objects):
        return any(names_series(item.references, identity) for item in objects)
    return any(shares_frame(item.references, identity) for item in objects)


def _not_binary(who: str, binary: list[Series], series: Series) -> bool:
    if not looks_binary(series, who):
        return True
    binary.append(series)
    return False


def _of_image(objects: Sequence[MaskObject], image: Path | Series,
              who: str) -> tuple[list[MaskObject], list[str]]:  # fmt: skip
    """Return the objects that belong to the image; without UIDs, as in a volume, positions decide."""
    if not objects or isinstance(image, Path):
        return list(objects), []
    identity = identity_of(image)
    if not any((identity.series, identity.instance, identity.frame)):
        return list(objects), []
    for belongs in (names_series, shares_frame):
        own = [item for item in objects if belongs(item.references, identity)]
        if own:
            left = len(objects) - len(own)
            note = f"masks of other DICOM series, not read: {left}"
            return own, [note] if left else []
    raise DatasetError(_foreign(objects[0], identity, who))


def _foreign(item: MaskObject, identity: Identity, who: str) -> str:
    series = next(iter(sorted(item.references.series)), "")
    stated = f"series UID ..{series[-8:]}" if series else "another frame of reference"
    return (
        f"{who}: {item.path.name} ({item.kind}) refers to {stated}, not to the image (series UID "
        f"..{identity.series[-8:]}); add the series that it was drawn on, choose it with --series, or "
        "export the mask as NIfTI or .seg.nrrd"
    )


def _structure(texts: tuple[str, str], folder: Path, pattern: str, how: Reading) -> str:
    """Return the structure that a series or its folder is named after, "" if neither names one."""
    names = [n for text in texts if text for n in list(names_in(text, folder.name, pattern))[::-1]]
    plain = [n for n in names if not re.search(pattern, n, re.IGNORECASE)]
    if how.labels is not None:
        return next((n for n in names if how.lists(n)), next(iter(plain), ""))
    return next(iter(plain), "")
