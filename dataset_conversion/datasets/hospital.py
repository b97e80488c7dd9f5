"""Hospital datasets: one folder per patient, with an image and optionally a mask.

The image is a DICOM series or a NIfTI, NRRD or MetaImage volume; the mask is ITK-SNAP's NIfTI or
3D Slicer's .seg.nrrd. Patients without a mask become test cases.
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
from dataset_conversion.datasets.case_ids import case_id, folder_id
from dataset_conversion.datasets.options import Common, option
from dataset_conversion.datasets.patient_folder import Patient, patient_folders, read_patient
from dataset_conversion.datasets.patient_ids import by_patient
from dataset_conversion.datasets.scan import scan, stop_at
from dataset_conversion.dicom.series import Series, read_series
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.atomic_files import digest, digest_of
from dataset_conversion.io.label_maps import LabelMap, by_name, labels_of, read_mask, translation
from dataset_conversion.io.volumes import read_header, read_image
from dataset_conversion.labels import Labels, read_labels, template
from dataset_conversion.raw_format.raw_dataset import Progress


@dataclass(frozen=True)
class FolderOptions(Common):
    """Options of a hospital's folders."""

    labels: Path | None = option(
        None, "file of label names and values, as in dataset.json", type=Path, metavar="JSON"
    )
    mask_pattern: str = option(
        r"mask|seg|label", "pattern in names of masks (default: %(default)s)", metavar="REGEX"
    )
    series: str | None = option(
        None, "which of several DICOM series: part of its description, or the end of its UID",
        metavar="TEXT",
    )  # fmt: skip
    modality: str = option("CT", "DICOM modality and channel name (default: %(default)s)")
    keep_names: bool = option(
        False, "use folder names as case ids; they must not identify a person"
    )


@dataclass(frozen=True)
class Patients:
    """Result of the scan: cases, labels, and messages for the summary."""

    cases: list[Case]
    labels: Labels
    notes: list[str]
    problems: list[str]


@dataclass(frozen=True)
class _Found:
    """A patient's files, case id and digests, and the values and segments of the mask."""

    patient: Patient
    name: str
    sources: dict[str, str]
    voxels: int
    values: tuple[int, ...]
    segments: dict[str, int] | None


def find_patients(source: Path, options: FolderOptions, prefix: str, progress: Progress | None,
                  usual: Labels | None = None) -> Patients:  # fmt: skip
    """Scan the patients' folders.

    Args:
        source: folder that holds the patients' folders.
        options: the user's options.
        prefix: prefix of the case ids.
        progress: wraps the folders.
        usual: default labels; None takes the segment names of the masks.

    Raises:
        DatasetError: no patients, no masks, invalid options, or problems with single patients.
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
        notes = [f"patients without a mask, written to imagesTs: {unmasked}", *notes]
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
    """Find a patient's files, their digests, and the values of the mask."""
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
    name = folder_id(folder) if options.keep_names else case_id(prefix, image, options.secret)
    return _Found(patient, name, sources, voxels, values, segments)


def _labels(found: Sequence[_Found], options: FolderOptions, usual: Labels | None) -> Labels:
    """Return labels from the user's file, else the default, else the masks' segment names."""
    masked = [item for item in found if item.patient.mask]
    if not masked:
        raise DatasetError(
            f"none of {len(found)} patients has a mask, so there is nothing to train on. Masks are "
            f"recognised by their names (--mask-pattern {options.mask_pattern!r})"
        )
    if options.labels is not None:
        return read_labels(Path(options.labels), options.drop)
    if usual is not None:
        return usual
    plain = [item for item in masked if item.segments is None]
    if plain:
        values = sorted({v for item in plain for v in item.values} - set(options.drop))
        raise DatasetError(
            f"{plain[0].patient.mask}: masks without segment names hold the label values {values}; save "
            f"their names to a file and pass it with --labels, e.g.\n{template(values)}"
        )
    return labels_of([item.segments or {} for item in masked], options.drop)


def _checked(found: Sequence[_Found], labels: Labels,
             options: FolderOptions) -> tuple[list[_Found], list[str]]:  # fmt: skip
    """Check the values of every mask, and that no image occurs twice, before anything is written."""
    same: dict[str, list[_Found]] = {}
    for item in found:
        same.setdefault(item.sources["image"], []).append(item)
    good, problems = [], []
    for item in found:
        twins = same[item.sources["image"]]
        if len(twins) > 1:
            if item is twins[0]:
                folders = " and ".join(str(twin.patient.folder) for twin in twins)
                problems.append(f"{folders} hold the same image; remove one")
            continue
        try:
            _check_values(item, labels, options)
            good.append(item)
        except DatasetError as error:
            problems.append(str(error))
    stop_at(problems, good, options)
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
    """Return the group of each case by its folder and its PatientID, and notes."""
    images = {item.name: item.patient.image for item in found}
    ids = {name: image.patient for name, image in images.items() if isinstance(image, Series)}
    return by_patient({item.name: item.patient.folder.name for item in found}, ids)


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
