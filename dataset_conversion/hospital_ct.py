"""A hospital's sacroiliac-joint CT, one folder a patient, to nnU-Net's raw format.

A folder holds a DICOM series or a NIfTI, NRRD or MetaImage volume, and perhaps a mask (ITK-SNAP's
NIfTI or 3D Slicer's .seg.nrrd). Patients without a mask become test cases.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.case import Case, Output, Sample
from dataset_conversion.dicom_series import Series, read_series
from dataset_conversion.errors import DatasetError, together
from dataset_conversion.files import digest_json, digest_of
from dataset_conversion.key_file import check_key, write_key
from dataset_conversion.labels import Labels, read_labels, template
from dataset_conversion.masks import LabelMap, by_name, labels_of, read_mask, translation
from dataset_conversion.patient_folder import Patient, patient_folders, read_patient
from dataset_conversion.prepare import check_not_empty
from dataset_conversion.preview import BONE
from dataset_conversion.raw_dataset import Progress, RawDataset
from dataset_conversion.report import Report
from dataset_conversion.staging import dataset_folder
from dataset_conversion.volumes import read_image

__all__ = ["Options", "Report", "convert"]


@dataclass(frozen=True)
class Options:
    """How to read a hospital's folders.

    Attributes:
        labels: JSON like the `labels` of nnU-Net's dataset.json.
        drop: source label values that become background.
        mask_pattern: regular expression found in masks' file names, without case.
        series: text in the wanted DICOM SeriesDescription, or the end of its UID.
        window: (low, high) HU; clipped and mapped to [0, 1] float32. None keeps HU.
        drop_empty_slices: cut slices without a label from both ends of labelled cases.
        keep_names: folder names as case ids; the user says that they tell no one's identity.
        key: CSV of case ids and source folders, outside the dataset.
        allow_empty_masks: let masks without a label through.
        modality: DICOM Modality, and the channel's name.
    """

    labels: Path | None = None
    drop: tuple[int, ...] = ()
    mask_pattern: str = r"mask|seg|label"
    series: str | None = None
    window: tuple[float, float] | None = None
    drop_empty_slices: bool = False
    keep_names: bool = False
    key: Path | None = None
    allow_empty_masks: bool = False
    modality: str = "CT"


@dataclass(frozen=True)
class _Found:
    """A patient with what identifies it: digests of the image's and the mask's bytes."""

    patient: Patient
    name: str
    image_digest: str
    digest: str
    voxels: int
    values: tuple[int, ...]
    segments: dict[str, int] | None


def convert(source: Path, raw_root: Path, dataset_id: int, name: str = "SacroiliacCT",
            options: Options | None = None, progress: Progress | None = None) -> Report:  # fmt: skip
    """Convert a folder of patients to `raw_root/Dataset<id>_<name>`.

    Running it again converts what is new or changed and leaves the rest; an interrupted run is
    continued.

    Args:
        source: folder with one folder for each patient.
        raw_root: nnUNet_raw.
        dataset_id: 1 to 999.
        name: letters and digits.
        options: see `Options`.
        progress: wraps the list of folders, then the list of cases, e.g. tqdm.

    Raises:
        DatasetError: whatever stands in the way, with the folder or file, and the cure.
    """
    options = options or Options()
    source, raw_root = Path(source), Path(raw_root)
    target = raw_root / dataset_folder(dataset_id, name)
    _check_options(source, raw_root, options)
    folders = patient_folders(source)
    if options.key:
        check_key(Path(options.key), target)
    found, problems = [], []
    for folder in progress(folders) if progress else folders:
        try:
            found.append(_look(folder, options))
        except DatasetError as error:
            problems.append(str(error))
    if problems:
        raise together(problems)
    labels = _labels(found, options)
    notes = _check_found(found, labels, options)
    groups, group_notes = _groups(found)
    cases = [
        Case(
            name=item.name,
            group=groups[item.name],
            where=str(item.patient.folder),
            digest=item.digest,
            labelled=item.patient.mask is not None,
            voxels=item.voxels,
            load=partial(_load, item.patient, labels, options.modality),
        )
        for item in found
    ]
    dataset = RawDataset(
        id=dataset_id,
        name=name,
        # Under any name that it does not know nnU-Net would silently take z-scores.
        channel_names=("noNorm" if options.window else options.modality,),
        labels=labels,
        cases=cases,
        output=Output(options.window, options.drop_empty_slices, options.allow_empty_masks),
        display=BONE if options.modality.upper() == "CT" else None,
        notes=[*notes, *group_notes],
    )
    report = dataset.write(raw_root, progress)
    if options.key:
        write_key(Path(options.key), {item.name: item.patient.folder for item in found})
    return report


def _check_options(source: Path, raw_root: Path, options: Options) -> None:
    try:
        re.compile(options.mask_pattern)
    except re.error as error:
        raise DatasetError(f"--mask-pattern {options.mask_pattern!r}: {error}") from error
    if options.window is not None:
        low, high = options.window
        if not (np.isfinite([low, high]).all() and low < high):
            raise DatasetError(f"window {low:g} to {high:g} HU: the first must be below the second")
    inside = raw_root.resolve()
    if inside == source.resolve() or source.resolve() in inside.parents:
        raise DatasetError(
            f"{raw_root}: nnUNet_raw lies inside the source {source}, where it would be taken for "
            "a patient; choose a folder elsewhere"
        )


def _look(folder: Path, options: Options) -> _Found:
    """Find a patient's files, their digests, and what the mask holds."""
    patient = read_patient(
        folder, mask_pattern=options.mask_pattern, modality=options.modality, series=options.series
    )
    image_digest = digest_of(patient.image_files)
    mask = read_mask(patient.mask) if patient.mask else None
    mask_digest = digest_of([patient.mask]) if patient.mask else None
    if isinstance(patient.image, Series):
        voxels = int(np.prod(patient.image.size))
    else:
        voxels = read_image(patient.image)[0].GetNumberOfPixels()  # finds damage before all else
    name = f"sijct_{image_digest[:8]}"
    if options.keep_names:
        name = re.sub(r"[^A-Za-z0-9-]+", "_", folder.name).strip("_-")
        if not name:
            raise DatasetError(
                f"{folder}: nothing is left of its name as a case id (A-Z, a-z, 0-9, - and _ are "
                "allowed); rename it, or do without --keep-names"
            )
    segments = dict(mask.segments) if mask and mask.segments is not None else None
    values = tuple(mask.values) if mask else ()
    whole = digest_json([image_digest, mask_digest])
    return _Found(patient, name, image_digest, whole, voxels, values, segments)


def _labels(found: Sequence[_Found], options: Options) -> Labels:
    """Take labels from the user's file, else from the masks' segment names."""
    masked = [item for item in found if item.patient.mask]
    if not masked:
        raise DatasetError(
            f"none of {len(found)} patients has a mask; nothing can be learnt. Masks are known by "
            f"their names (--mask-pattern {options.mask_pattern!r})"
        )
    if options.labels is not None:
        return read_labels(Path(options.labels), options.drop)
    plain = [item for item in masked if item.segments is None]
    if plain:
        values = sorted({v for item in plain for v in item.values} - set(options.drop))
        raise DatasetError(
            f"{plain[0].patient.mask}: masks without names hold the label values {values}; save "
            f"their names as a file and give it with --labels, e.g.\n{template(values)}"
        )
    return labels_of([item.segments or {} for item in masked], options.drop)


def _check_found(found: Sequence[_Found], labels: Labels, options: Options) -> list[str]:
    """Check every mask's values, and that no image occurs twice, before anything is written."""
    problems = []
    output = Output(allow_empty_masks=options.allow_empty_masks)
    seen: dict[str, Path] = {}
    for item in found:
        who = str(item.patient.folder)
        other = seen.setdefault(item.image_digest, item.patient.folder)
        if other is not item.patient.folder:
            problems.append(f"{other} and {who} hold the same image; take one away")
        if item.patient.mask is None:
            continue
        try:
            known = translation(item.segments, item.values, labels, who)
            values = [known.get(value, value) for value in item.values]
            labels.check(values, who)
            check_not_empty(bool(set(values) - {0, labels.ignore, *labels.drop}), output, who)
        except DatasetError as error:
            problems.append(str(error))
    if problems:
        raise together(problems)
    unmasked = sum(item.patient.mask is None for item in found)
    return [f"patients without a mask, put in imagesTs: {unmasked}"] if unmasked else []


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
