"""Hospital datasets: one folder per patient, with an image and optionally a mask.

The image is a DICOM series or a NIfTI, NRRD or MetaImage volume; the mask is ITK-SNAP's NIfTI or
3D Slicer's .seg.nrrd. Patients without a mask become test cases.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import SimpleITK as sitk

from dataset_conversion.cases.case import Case, Sample
from dataset_conversion.cases.preprocess import check_not_empty
from dataset_conversion.datasets.case_ids import case_id, folder_id
from dataset_conversion.datasets.entries import Entry
from dataset_conversion.datasets.images_only import IMAGES_ONLY, MODEL, NO_LABELS
from dataset_conversion.datasets.layouts import find_entries
from dataset_conversion.datasets.named_segments import (
    NOTE,
    check_not_label,
    names_patient,
    of_one_patient,
)
from dataset_conversion.datasets.options import Common, follow_links_option, option
from dataset_conversion.datasets.patient_folder import Patient, read_patient
from dataset_conversion.datasets.patient_ids import by_patient
from dataset_conversion.datasets.scan import Collected, scan, stop_at
from dataset_conversion.datasets.structure_files import check_structures
from dataset_conversion.dicom.series import CODE, Series, read_series_and_notes
from dataset_conversion.errors import DatasetError, together
from dataset_conversion.io.atomic_files import digest_json, digest_of
from dataset_conversion.io.file_stamps import Stamp, check_stamp, stamp
from dataset_conversion.io.label_maps import LabelMap, by_name
from dataset_conversion.io.label_names import (
    check_drop,
    check_renames,
    labels_of,
    read_renames,
    targets,
    translation,
)
from dataset_conversion.io.segments import Reading
from dataset_conversion.io.volumes import header_of, read_image
from dataset_conversion.labels import Labels, folded, read_labels, template
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
        None, "which of several DICOM volumes: part of the series' description, the end of its UID, or "
        "an attribute, such as EchoTime=2.4, 'acquisition 2' or 'stack 1'",
        metavar="TEXT",
    )  # fmt: skip
    modality: str = option(
        "CT", "DICOM modality and channel name (default: %(default)s); any accepts all, none an "
        "absent one, both with CT as channel name",
    )  # fmt: skip
    keep_names: bool = option(
        False, "use folder names as case ids; they must not identify a person"
    )
    rename: tuple[str, ...] = option(
        (), "labels of structures whose names in the masks differ, e.g. 'Sacrum bone=sacrum'; background as "
        "the label removes a structure", type=str, nargs="+", metavar="NAME=LABEL",
    )  # fmt: skip
    overlaps: str | None = option(
        None, "where structures of a mask overlap, keep the one that comes first or last in the labels "
        "(default: an error)", choices=("first", "last"),
    )  # fmt: skip
    volumes: tuple[str, ...] = option(
        (), "labels of the volumes of 4D masks with one label per volume, in their order", type=str, nargs="+",
        metavar="LABEL",
    )  # fmt: skip
    mask_outside: float | None = option(
        None, "masks are DICOM series of images in which this value stands for all that is outside the "
        "structure", type=float, metavar="VALUE",
    )  # fmt: skip
    follow_links: bool = follow_links_option()
    images_only: bool = IMAGES_ONLY
    model: Path | None = MODEL

    @property
    def kind(self) -> str:
        """The modality that the images are taken as."""
        return self.modality


@dataclass(frozen=True)
class _Found:
    """A patient's files, case id, digests and stamps, and the values and segments of the mask.

    `personal` are the names of segments that hold a part of the patient's name or id.
    """

    patient: Patient
    name: str
    sources: dict[str, str]
    voxels: int
    values: tuple[int, ...]
    segments: dict[str, int] | None
    stamp: Stamp
    personal: tuple[str, ...] = ()


def find_patients(source: Path, options: FolderOptions, prefix: str, progress: Progress | None,
                  usual: Labels | None = None) -> Collected:  # fmt: skip
    """Scan the patients' folders.

    Without `usual`, the default labels, the names of the segments in the masks are taken.

    Raises:
        DatasetError: no patients, no masks, invalid options, or problems with single patients.
    """
    try:
        re.compile(options.mask_pattern)
    except re.error as error:
        raise DatasetError(f"--mask-pattern {options.mask_pattern!r}: {error}") from error
    if not CODE.fullmatch(options.modality):
        raise DatasetError(
            f"--modality {options.modality!r}: is not a DICOM code such as CT or MR; pass any, "
            "which accepts all"
        )
    known = usual if options.labels is None else read_labels(Path(options.labels), options.drop)
    reading = _reading(options, known)
    entries, layout = find_entries(
        source, options.mask_pattern, options.follow_links, options.images_only
    )
    look = partial(_look, options=options, prefix=prefix, reading=reading)
    later = replace(options, keep_going=True)  # all problems are reported together
    found, problems = scan(entries, look, later, progress)
    found = _noted(found, reading)
    try:
        labels = NO_LABELS if options.images_only else _labels(found, options, reading)
        missing = _missing_structures(found, labels, reading)
    except DatasetError as error:
        raise together([*problems, str(error)]) from error
    found, more = _checked(found, labels, options, reading)
    stop_at([*problems, *more], found, later)
    groups, notes = _groups(found)
    unmasked = sum(item.patient.mask is None for item in found)
    if options.images_only:
        notes = []  # on training and folds
    elif unmasked:
        notes = [f"patients without a mask, written to imagesTs: {unmasked}", *notes]
    cases = [
        Case(
            name=item.name,
            group=groups[item.name],
            where=str(item.patient.folder),
            sources=item.sources,
            labelled=item.patient.mask is not None,
            voxels=item.voxels,
            load=partial(_load, item.patient, labels, reading, options.kind, item.stamp),
        )
        for item in found
    ]
    return Collected(cases, labels, [*layout, *notes, *missing], [*problems, *more])


def _missing_structures(found: Sequence[_Found], labels: Labels, reading: Reading) -> list[str]:
    masks = [(i.patient.mask, i.segments) for i in found if i.patient.mask]
    parts = [mask for mask, segments in masks if mask.structures and segments is not None]
    return check_structures(parts, len(masks) - len(parts), labels, reading)


def _reading(options: FolderOptions, labels: Labels | None) -> Reading:
    renames = read_renames(options.rename)
    if labels is not None:
        check_renames(renames, labels)
    return Reading(labels, renames, options.overlaps, options.volumes, options.mask_outside,
                   options.ignore_mask_header)  # fmt: skip


def _look(entry: Entry, options: FolderOptions, prefix: str, reading: Reading) -> _Found:
    """Find a patient's files, their digests, and the values of the mask."""
    patient = read_patient(
        entry, mask_pattern=options.mask_pattern, modality=options.modality, series=options.series,
        reading=reading, images_only=options.images_only,
    )  # fmt: skip
    grid = patient.grid
    files = stamp((*patient.image_files, *(patient.mask.files if patient.mask else ())))
    image = digest_of(patient.image_files)
    sources = {"image": image}
    segments: dict[str, int] | None = None
    values: tuple[int, ...] = ()
    if patient.mask:
        sources["mask"] = patient.mask.digest()
        if choices := reading.choices():
            sources["reading of the mask"] = digest_json(choices)
        mask = patient.mask.read(grid)
        segments = dict(mask.segments) if mask.segments is not None else None
        values = tuple(mask.values)
    name = (
        folder_id(entry.where, entry.name)
        if options.keep_names
        else case_id(prefix, image, options.secret)
    )
    known = patient.texts() if segments else []
    personal = tuple(n for n in segments or {} if names_patient(n, known))
    return _Found(patient, name, sources, grid.voxels, values, segments, files, personal)


def _noted(found: Sequence[_Found], reading: Reading) -> list[_Found]:
    """Return the patients, those with segments that name them and are not labels of the user with a note."""
    groups, _ = _groups(found)
    own = of_one_patient([(groups[item.name], item.segments or {}) for item in found])
    result = []
    for item in found:
        personal = tuple(name for name in item.personal if folded(name) in own
                         and not (reading.labels and folded(name) in targets(reading.labels)))  # fmt: skip
        notes = (*item.patient.notes, NOTE) if personal else item.patient.notes
        result.append(replace(item, personal=personal, patient=replace(item.patient, notes=notes)))
    return result


def _labels(found: Sequence[_Found], options: FolderOptions, reading: Reading) -> Labels:
    """Return the known labels, from a file or by default, else the masks' segment names."""
    masked = [(item, item.patient.mask) for item in found if item.patient.mask]
    if not masked:
        raise DatasetError(
            f"none of {len(found)} patients has a mask, so there is nothing to train on. Masks are "
            f"recognised by their names (--mask-pattern {options.mask_pattern!r})"
        )
    check_drop([item.segments for item, _ in masked], options.drop)
    if reading.labels is not None:
        return reading.labels
    plain = [(item, mask) for item, mask in masked if item.segments is None]
    if plain:
        values = sorted({v for item, _ in plain for v in item.values} - set(options.drop))
        raise DatasetError(
            f"{plain[0][1].path}: masks without segment names hold the label values {values}; save "
            f"their names to a file and pass it with --labels, e.g.\n{template(values)}"
        )
    for item, _ in masked:
        check_not_label(item.personal, reading.renames, str(item.patient.folder))
    return labels_of([item.segments or {} for item, _ in masked], options.drop, reading.renames)


def _checked(found: Sequence[_Found], labels: Labels, options: FolderOptions,
             reading: Reading) -> tuple[list[_Found], list[str]]:  # fmt: skip
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
            _check_values(item, labels, options, reading)
            good.append(item)
        except DatasetError as error:
            problems.append(str(error))
    return good, problems


def _check_values(item: _Found, labels: Labels, options: FolderOptions,
                  reading: Reading) -> None:  # fmt: skip
    if item.patient.mask is None:
        return
    who = str(item.patient.folder)
    known = translation(item.segments, item.values, labels, who, reading.renames)
    values = [known.get(value, value) for value in item.values]
    labels.check(values, who)
    has_label = bool(set(values) - {0, labels.ignore, *labels.drop})
    check_not_empty(has_label, options.allow_empty, who)


def _groups(found: Sequence[_Found]) -> tuple[dict[str, str], list[str]]:
    """Return the group of each case by its folder and its PatientID, and notes."""
    images = {item.name: item.patient.image for item in found}
    ids = {name: image.patient for name, image in images.items() if isinstance(image, Series)}
    return by_patient({item.name: item.patient.group for item in found}, ids)


def _load(patient: Patient, labels: Labels, reading: Reading, modality: str,
          known: Stamp) -> Sample:  # fmt: skip
    """Read a patient's image and mask, which must be those that were hashed."""
    sample = _read(patient, labels, reading, modality)
    check_stamp(known)
    return sample


def _read(patient: Patient, labels: Labels, reading: Reading, modality: str) -> Sample:
    who = str(patient.folder)
    notes = list(patient.notes)
    if isinstance(patient.image, Series):
        image, found = read_series_and_notes(patient.image, who)
        notes += found
    else:
        image, more = read_image(patient.image)
        notes += more
    lowest = float(sitk.GetArrayViewFromImage(image).min())
    if modality.upper() == "CT" and lowest >= 0:
        notes.append(f"no value below 0 HU (lowest {lowest:g}): was the rescale intercept lost?")
    if patient.mask is None:
        return Sample((image,), None, tuple(notes))
    mask: LabelMap = by_name(patient.mask.read(header_of(image)), labels, who, reading.renames)
    return Sample((image,), mask.image, (*notes, *mask.notes))
