"""What a hospital's datasets share: a folder a patient, with an image and perhaps a mask.

The image is a DICOM series or a NIfTI, NRRD or MetaImage volume, the mask ITK-SNAP's NIfTI or 3D
Slicer's .seg.nrrd. Patients without a mask become test cases.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.cases.case import Case, Sample
from dataset_conversion.cases.preprocess import check_not_empty
from dataset_conversion.datasets.options import Common, option
from dataset_conversion.datasets.patient_folder import Patient, patient_folders, read_patient
from dataset_conversion.datasets.scan import scan
from dataset_conversion.dicom.series import Series, read_series
from dataset_conversion.errors import DatasetError, together
from dataset_conversion.io.atomic_files import digest, digest_of
from dataset_conversion.io.label_maps import LabelMap, by_name, labels_of, read_mask, translation
from dataset_conversion.io.volumes import read_header, read_image
from dataset_conversion.labels import Labels, read_labels, template
from dataset_conversion.raw_format.raw_dataset import Progress


@dataclass(frozen=True)
class FolderOptions(Common):
    """How to read a hospital's folders."""

    labels: Path | None = option(
        None, "label names and values, like dataset.json's labels", type=Path, metavar="JSON"
    )
    mask_pattern: str = option(
        r"mask|seg|label", "what names a mask file (default: %(default)s)", metavar="REGEX"
    )
    series: str | None = option(
        None, "text of the wanted series' description, or the end of its UID, if there are several",
        metavar="TEXT",
    )  # fmt: skip
    modality: str = option("CT", "DICOM modality and channel name (default: %(default)s)")
    keep_names: bool = option(
        False, "folder names become case ids: you say that they identify nobody"
    )


@dataclass(frozen=True)
class Patients:
    """What was found: cases, their labels, and what the user should be told."""

    cases: list[Case]
    labels: Labels
    notes: list[str]
    problems: list[str]


@dataclass(frozen=True)
class _Found:
    """A patient with what identifies it: digests of the image's and the mask's bytes."""

    patient: Patient
    name: str
    sources: dict[str, str]
    voxels: int
    values: tuple[int, ...]
    segments: dict[str, int] | None


def find_patients(source: Path, options: FolderOptions, prefix: str, progress: Progress | None,
                  usual: Labels | None = None) -> Patients:  # fmt: skip
    """Look at every patient's folder.

    Args:
        source: holds the patients' folders.
        options: the user's.
        prefix: of case ids.
        progress: wraps the folders.
        usual: labels where the user gives none; None takes the masks' own names.
    """
    try:
        re.compile(options.mask_pattern)
    except re.error as error:
        raise DatasetError(f"--mask-pattern {options.mask_pattern!r}: {error}") from error
    folders = patient_folders(source)
    look = partial(_look, options=options, prefix=prefix)
    found, problems = scan(folders, look, options, progress)
    labels = _labels(found, options, usual)
    found, more = _checked(found, labels, options)
    groups, notes = _groups(found)
    unmasked = sum(item.patient.mask is None for item in found)
    if unmasked:
        notes = [f"patients without a mask, put in imagesTs: {unmasked}", *notes]
    cases = [
        Case(
            name=item.name,
            group=groups[item.name],
            where=str(item.patient.folder),
            sources=item.sources,
            labelled=item.patient.mask is not None,
            voxels=item.voxels,
            load=partial(_load, item.patient, labels, options.modality),
        )
        for item in found
    ]
    return Patients(cases, labels, notes, [*problems, *more])


def _look(folder: Path, options: FolderOptions, prefix: str) -> _Found:
    """Find a patient's files, their digests, and what the mask holds."""
    patient = read_patient(
        folder, mask_pattern=options.mask_pattern, modality=options.modality, series=options.series
    )
    image = digest_of(patient.image_files)
    sources = {"image": image}
    segments: dict[str, int] | None = None
    values: tuple[int, ...] = ()
    if patient.mask:
        sources["mask"] = digest(patient.mask)
        mask = read_mask(patient.mask)
        segments = dict(mask.segments) if mask.segments is not None else None
        values = tuple(mask.values)
    if isinstance(patient.image, Series):
        voxels = int(np.prod(patient.image.size))
    else:
        voxels = read_header(patient.image).voxels
    name = options.case_id(prefix, image)
    if options.keep_names:
        name = re.sub(r"[^A-Za-z0-9-]+", "_", folder.name).strip("_-")
        if not name:
            raise DatasetError(
                f"{folder}: nothing is left of its name as a case id (A-Z, a-z, 0-9, - and _ are "
                "allowed); rename it, or do without --keep-names"
            )
    return _Found(patient, name, sources, voxels, values, segments)


def _labels(found: Sequence[_Found], options: FolderOptions, usual: Labels | None) -> Labels:
    """Take labels from the user's file, else the usual ones, else the masks' segment names."""
    masked = [item for item in found if item.patient.mask]
    if not masked:
        raise DatasetError(
            f"none of {len(found)} patients has a mask; nothing can be learnt. Masks are known by "
            f"their names (--mask-pattern {options.mask_pattern!r})"
        )
    if options.labels is not None:
        return read_labels(Path(options.labels), options.drop)
    if usual is not None:
        return usual
    plain = [item for item in masked if item.segments is None]
    if plain:
        values = sorted({v for item in plain for v in item.values} - set(options.drop))
        raise DatasetError(
            f"{plain[0].patient.mask}: masks without names hold the label values {values}; save "
            f"their names as a file and give it with --labels, e.g.\n{template(values)}"
        )
    return labels_of([item.segments or {} for item in masked], options.drop)


def _checked(found: Sequence[_Found], labels: Labels,
             options: FolderOptions) -> tuple[list[_Found], list[str]]:  # fmt: skip
    """Check every mask's values, and that no image occurs twice, before anything is written."""
    same: dict[str, list[_Found]] = {}
    for item in found:
        same.setdefault(item.sources["image"], []).append(item)
    good, problems = [], []
    for item in found:
        twins = same[item.sources["image"]]
        if len(twins) > 1:
            if item is twins[0]:
                folders = " and ".join(str(twin.patient.folder) for twin in twins)
                problems.append(f"{folders} hold the same image; take one away")
            continue
        try:
            _check_values(item, labels, options)
            good.append(item)
        except DatasetError as error:
            problems.append(str(error))
    if problems and not (good and (options.keep_going or options.dry_run)):
        raise together(problems)
    return good, problems


def _check_values(item: _Found, labels: Labels, options: FolderOptions) -> None:
    if item.patient.mask is None:
        return
    who = str(item.patient.folder)
    known = translation(item.segments, item.values, labels, who)
    values = [known.get(value, value) for value in item.values]
    labels.check(values, who)
    has_label = bool(set(values) - {0, labels.ignore, *labels.drop})
    check_not_empty(has_label, options.allow_empty, who)


def _groups(found: Sequence[_Found]) -> tuple[dict[str, str], list[str]]:
    """Return each case's group: its folder, or its PatientID where that tells patients apart."""
    ids = {i.name: i.patient.image.patient for i in found if isinstance(i.patient.image, Series)}
    known = [value for value in ids.values() if value]
    groups = {item.name: f"folder {item.patient.folder.name}" for item in found}
    if len(set(known)) == 1 and len(known) > 1 and len(known) == len(found):
        return groups, ["all patients have the same PatientID: each folder is taken for a patient"]
    if len(set(known)) > 1:
        groups.update({name: f"id {value}" for name, value in ids.items() if value})
    shared = len(found) - len(set(groups.values()))
    note = f"folders that share a PatientID with another stay in its fold: {shared}"
    return groups, [note] if shared else []


def _load(patient: Patient, labels: Labels, modality: str) -> Sample:
    """Read a patient's image and mask."""
    who = str(patient.folder)
    notes = list(patient.notes)
    if isinstance(patient.image, Series):
        image = read_series(patient.image, who)
    else:
        image, more = read_image(patient.image)
        notes += more
    lowest = float(sitk.GetArrayViewFromImage(image).min())
    if modality.upper() == "CT" and lowest >= 0:
        notes.append(f"no value below 0 HU (lowest {lowest:g}): was the rescale intercept lost?")
    if patient.mask is None:
        return Sample((image,), None, tuple(notes))
    mask: LabelMap = by_name(read_mask(patient.mask), labels, who)
    return Sample((image,), mask.image, (*notes, *mask.notes))
