"""Choose a patient's DICOM series, verify its geometry, and read it as a volume (LPS mm, HU)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.dicom.headers import NonImage, Slice, read_slices
from dataset_conversion.dicom.padding import without_padding
from dataset_conversion.dicom.patients import check_one_patient
from dataset_conversion.dicom.pixels import read_pixels
from dataset_conversion.dicom.selection import (
    ambiguous,
    choice,
    listed,
    matching,
    quoted,
    split_text,
)
from dataset_conversion.dicom.slice_geometry import sort_slices
from dataset_conversion.dicom.stacks import is_stack, passed_over, rivals
from dataset_conversion.dicom.volumes_in_series import Part, separate
from dataset_conversion.errors import DatasetError, together

ANY, ABSENT = "any", "none"
SCOUTS = "passed over scout images (LOCALIZER)"
CODE = re.compile(r"[A-Z0-9_]{1,16}", re.IGNORECASE)  # of a Modality
_FREE = "a free text"


@dataclass(frozen=True)
class Series:
    """A series with verified geometry: slices in the order of their normal, affine to LPS mm."""

    slices: tuple[Slice, ...]
    affine: np.ndarray

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files, without duplicates."""
        return tuple(dict.fromkeys(item.path for item in self.slices))

    @property
    def patient(self) -> str:
        """PatientID: groups cases; never shown or written."""
        return self.slices[0].patient

    @property
    def size(self) -> tuple[int, int, int]:
        """Number of voxels along x, y, z."""
        rows, columns = self.slices[0].matrix
        return (columns, rows, len(self.slices))


def find_series(files: Sequence[Path], who: str, *, modality: str | None = "CT",
                description: str | None = None,
                fits: Callable[[Series], bool] | None = None) -> tuple[Series | None, list[str]]:  # fmt: skip
    """Return the only series among a patient's files, or None if there is no DICOM.

    Args:
        files: candidates; other formats are skipped.
        who: the patient's folder, for messages.
        modality: Modality of the series; "none" is an absent one; None or "any" accepts any.
        description: text that chooses one of several volumes, see `selection`: part of the
            SeriesDescription, the end of the series UID, or an attribute such as 'EchoTime=2.4'.
        fits: tests whether the patient's mask is aligned with a series, to choose between several.

    Returns:
        The series, and notes on what was skipped (without names of persons or folders).

    Raises:
        DatasetError: no volume or several match, the slices do not form a regular volume,
            attributes cannot be read, or the files belong to several patients.
    """
    slices, notes = _read(files)
    text, joined = split_text(description)
    parts = separate(slices, joined)
    scouts = [part for part in parts if part.first.localizer]
    parts = _of_modality([part for part in parts if part not in scouts], who, modality, notes)
    known = parts
    if text is not None and (parts or scouts):
        parts = _named(parts, scouts, who, text)
    elif scouts:
        notes.append(SCOUTS)
    if not parts:
        return None, notes
    check_one_patient([item for part in parts for item in part.slices] if text else slices, who)
    _check_readable(parts, who)
    parts = _stacks_of(parts, notes)
    hint = ""
    if len(parts) > 1 and fits is not None:
        parts, hint = _fitting(parts, known, who, fits, notes)
    if len(parts) > 1:
        raise DatasetError(f"{who}: {ambiguous(parts, known)}{hint}")
    return _verified(parts[0], who, notes), notes


def read_series(series: Series, who: str) -> sitk.Image:
    """Read the rescaled pixels (for CT: HU) as a float32 volume, padding set to air."""
    return read_series_and_notes(series, who)[0]


def read_series_and_notes(series: Series, who: str) -> tuple[sitk.Image, tuple[str, ...]]:
    """Read as `read_series` does; return the volume, and notes on its padding."""
    return without_padding(read_pixels(series.slices, series.affine, who), series.slices)


def _read(files: Sequence[Path]) -> tuple[list[Slice], list[str]]:
    """Read all headers; return the images, and notes on objects that are not read."""
    slices: list[Slice] = []
    others: list[NonImage] = []
    problems = []
    for path in sorted(files):
        try:
            found = read_slices(path)
        except DatasetError as error:
            problems.append(str(error))
            continue
        if isinstance(found, NonImage):
            others.append(found)
        else:
            slices += found or []
    if problems:
        raise together(problems)
    return slices, [
        f"a DICOM {kind} object is not read; export segmentations as NIfTI or .seg.nrrd"
        for kind in sorted({other.modality for other in others})
        if kind in ("SEG", "RTSTRUCT")
    ]


def _of_modality(parts: list[Part], who: str, modality: str | None, notes: list[str]) -> list[Part]:
    """Return the parts of a modality."""
    if not parts or modality is None or modality.casefold() == ANY:
        return parts
    wanted = "" if modality.casefold() == ABSENT else modality.upper()
    fitting = [part for part in parts if part.first.modality.upper() == wanted]
    found = sorted({_code(part.first.modality) for part in parts if part not in fitting})
    if not fitting:
        choices = (
            " or ".join(f"--modality {name}" for name in found if name != _FREE)
            or f"--modality {ANY}"
        )
        names = ["absent" if name == ABSENT else name for name in found]
        raise DatasetError(
            f"{who}: DICOM Modality is {', '.join(names)}, expected {modality}; pass {choices} if "
            f"that is intended (--modality {ANY} accepts all), or remove the series"
        )
    if found:
        notes.append(f"skipped DICOM series of modality {', '.join(found)}")
    return fitting


def _code(modality: str) -> str:
    """Return a Modality for messages; a free text may hold a name and is not shown."""
    return modality if CODE.fullmatch(modality) else _FREE if modality else ABSENT


def _named(parts: list[Part], scouts: list[Part], who: str, text: str) -> list[Part]:
    """Return the parts that match a text; scouts if nothing else does."""
    named = matching(parts, text) or matching(scouts, text)
    if not named:
        every = parts or scouts
        raise DatasetError(
            f"{who}: no series matches --series {text!r}; found: {listed(every, every)}"
        )
    return named


def _check_readable(parts: Sequence[Part], who: str) -> None:
    """Stop if numbers of the headers are unclear, with one line per patient."""
    bad: dict[str, list[str]] = {}
    for item in (item for part in parts for item in part.slices if not item.screen):
        for name, text in item.bad:
            bad.setdefault(name, []).append(text)
    if bad:
        shown = ", ".join(
            f"{name} {texts[0]!r} (in {len(texts)} slices)" for name, texts in bad.items()
        )
        raise DatasetError(
            f"{who}: {shown} cannot be read; expected numbers with a decimal point, separated by "
            r"backslashes, as in '0.75\0.75'; export the series again from the archive"
        )


def _stacks_of(parts: list[Part], notes: list[str]) -> list[Part]:
    """Return the parts that may be volumes, if there are any; pass over single images and screens."""
    stacks = [part for part in parts if is_stack(part)]
    over = [part for part in parts if part not in stacks and passed_over(part, stacks)]
    if not stacks or not over:
        return parts
    images = sum(len(part.slices) for part in over)
    notes.append(
        f"passed over next to a stack: single images or screens, such as scouts ({images})"
    )
    return [part for part in parts if part not in over]


def _fitting(parts: list[Part], known: list[Part], who: str, fits: Callable[[Series], bool],
             notes: list[str]) -> tuple[list[Part], str]:  # fmt: skip
    """Return the part that the mask is aligned with, else all parts and a hint for the message.

    A mask does not choose between volumes of one series that show the same region in the same
    spacing, such as two passes: another patient's mask could choose another kernel or contrast.
    """
    aligned = []
    for part in parts:
        try:
            series = _verified(part, who, [])
        except DatasetError:
            continue
        if fits(series):
            aligned.append(part)
    if len(aligned) != 1:
        return parts, ""
    if rivals(aligned[0], parts):
        term = choice(aligned[0], known)
        return parts, f" (the mask is aligned with {quoted(term)})" if term else ""
    several = f"{len(parts)} DICOM series"
    if len({part.series for part in parts}) == 1:
        several = f"{len(parts)} volumes in one DICOM series"
    notes.append(f"of {several}, used the one that the mask is aligned with")
    return aligned, ""


def _verified(part: Part, who: str, notes: list[str]) -> Series:
    """Check a part's geometry, and note what was corrected."""
    ordered, affine, more = sort_slices(part.slices, who)
    commas = sorted({name for item in ordered for name in item.commas})
    if commas:
        notes.append(f"decimal commas read as decimal points: {', '.join(commas)}")
    if any(item.inverted and item.modality.upper() != "CT" for item in ordered):
        notes.append(
            "MONOCHROME1: the values are kept as stored, and low ones are shown bright; make "
            "sure that the contrast is that of the other patients"
        )
    if part.uids > 1:
        notes.append("each slice has its own SeriesInstanceUID: taken as one series")
    if any(item.burned for item in ordered):
        notes.append(
            "BurnedInAnnotation is YES: text in the pixels may name the patient; look at the images before sharing"
        )
    notes += more
    return Series(tuple(ordered), affine)
