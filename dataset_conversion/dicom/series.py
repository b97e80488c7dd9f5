"""Choose a patient's DICOM series, prove its geometry, and read it as one volume (LPS mm, HU)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.dicom.headers import NoImage, Slice, read_slices
from dataset_conversion.dicom.pixels import read_pixels
from dataset_conversion.dicom.slice_geometry import prove_stack
from dataset_conversion.errors import DatasetError, together


@dataclass(frozen=True)
class Series:
    """One series whose geometry is proven: slices from the lowest up the normal."""

    slices: tuple[Slice, ...]
    affine: np.ndarray

    @property
    def paths(self) -> tuple[Path, ...]:
        """Its files, each once."""
        return tuple(dict.fromkeys(item.path for item in self.slices))

    @property
    def patient(self) -> str:
        """PatientID: groups cases, and is never shown or written."""
        return self.slices[0].patient

    @property
    def size(self) -> tuple[int, int, int]:
        """Voxels along x, y, z."""
        rows, columns = self.slices[0].matrix
        return (columns, rows, len(self.slices))


def find_series(files: Sequence[Path], who: str, *, modality: str | None = "CT",
                wanted: str | None = None,
                fits: Callable[[Series], bool] | None = None) -> tuple[Series | None, list[str]]:  # fmt: skip
    """Return the one series among a patient's files, or None where there is no DICOM.

    Args:
        files: candidates; those that are no DICOM are passed over.
        who: the patient's folder, for messages.
        modality: the Modality that is wanted; objects of another are passed over beside it. None takes any.
        wanted: text that the SeriesDescription contains, or with which the UID ends.
        fits: says whether the patient's mask lies on a series; decides between several.

    Returns:
        The series, and notes on what was passed over (no names, no folders).

    Raises:
        DatasetError: no series or several are left, or the slices make no regular volume.
    """
    slices: list[Slice] = []
    others: list[NoImage] = []
    problems = []
    for path in sorted(files):
        try:
            found = read_slices(path)
        except DatasetError as error:
            problems.append(str(error))
            continue
        if isinstance(found, NoImage):
            others.append(found)
        else:
            slices += found or []
    if problems:
        raise together(problems)
    notes = [
        f"a DICOM {kind} object is not read; export a segmentation as NIfTI or .seg.nrrd"
        for kind in sorted({other.modality for other in others})
        if kind in ("SEG", "RTSTRUCT")
    ]
    groups = _named(_grouped([s for s in slices if not s.localizer]), who, modality, wanted, notes)
    if not groups:
        return None, notes
    if len(groups) > 1 and fits is not None:
        groups = _fitting(groups, who, fits, notes)
    if len(groups) > 1:
        raise DatasetError(
            f"{who}: {len(groups)} DICOM series, one is needed; {_listed(groups)}; choose with "
            "--series TEXT (part of the description, or the end of the UID)"
        )
    ordered, affine = prove_stack(groups[0], who)
    return Series(tuple(ordered), affine), notes


def read_series(series: Series, who: str) -> sitk.Image:
    """Read the pixels as float32, rescaled (for CT: HU), on the proven grid.

    Raises:
        DatasetError: the pixels cannot be decoded, or ITK sees another geometry.
    """
    return read_pixels(series.slices, series.affine, who)


def _grouped(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Group by series UID, matrix and orientation (empty UIDs occur, so the UID is not enough)."""
    groups: list[list[Slice]] = []
    for item in slices:
        for group in groups:
            if _alike(group[0], item):
                group.append(item)
                break
        else:
            groups.append([item])
    return groups


def _alike(a: Slice, b: Slice) -> bool:
    if (a.uid, a.matrix, a.modality) != (b.uid, b.matrix, b.modality):
        return False
    if a.orientation is None or b.orientation is None:
        return a.orientation is b.orientation
    return bool(np.allclose(a.orientation, b.orientation, atol=1e-3))


def _named(groups: list[list[Slice]], who: str, modality: str | None, wanted: str | None,
           notes: list[str]) -> list[list[Slice]]:  # fmt: skip
    """Return the groups of the wanted modality and name; see `find_series`."""
    if not groups:
        return []
    fitting = [g for g in groups
               if modality is None or g[0].modality.upper() == modality.upper()]  # fmt: skip
    if not fitting:
        found = sorted({g[0].modality or "none" for g in groups})
        raise DatasetError(
            f"{who}: DICOM Modality is {', '.join(found)}, {modality} is expected; pass "
            f"--modality {found[0]} if that is meant, or take the series away"
        )
    if len(fitting) < len(groups):
        others = sorted({g[0].modality for g in groups if g not in fitting})
        notes.append(f"DICOM series of modality {', '.join(others)} passed over")
    if wanted is None:
        return fitting
    text = wanted.casefold()
    named = [g for g in fitting if text in g[0].description.casefold()
             or (g[0].uid and g[0].uid.endswith(wanted))]  # fmt: skip
    if not named:
        raise DatasetError(f"{who}: no series fits --series {wanted!r}; {_listed(fitting)}")
    return named


def _fitting(groups: list[list[Slice]], who: str, fits: Callable[[Series], bool],
             notes: list[str]) -> list[list[Slice]]:  # fmt: skip
    """Return the one series that the mask was drawn on, or all where that does not tell."""
    proven = []
    for group in groups:
        try:
            ordered, affine = prove_stack(group, who)
        except DatasetError:
            continue
        if fits(Series(tuple(ordered), affine)):
            proven.append(group)
    if len(proven) != 1:
        return groups
    notes.append(f"of {len(groups)} DICOM series the one was taken that the mask lies on")
    return proven


def _listed(groups: list[list[Slice]]) -> str:
    return "found: " + ", ".join(_described(group) for group in groups)


def _described(group: list[Slice]) -> str:
    first = group[0]
    size = f"{first.matrix[0]}x{first.matrix[1]}"
    name = repr(first.description) if first.description else "without description"
    uid = f"UID ..{first.uid[-8:]}" if first.uid else "no UID"
    return f"{len(group)} slices of {size} {name} ({uid}{_facing(first)})"


def _facing(item: Slice) -> str:
    if item.orientation is None:
        return ", no orientation"
    normal = np.cross(item.orientation[:3], item.orientation[3:])
    plane = ("sagittal", "coronal", "axial")[int(np.abs(normal).argmax())]
    return f", {plane}"
