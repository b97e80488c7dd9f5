"""Choose a patient's DICOM series, verify its geometry, and read it as a volume (LPS mm, HU)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.dicom.headers import NonImage, Slice, read_slices
from dataset_conversion.dicom.pixels import read_pixels
from dataset_conversion.dicom.slice_geometry import sort_slices
from dataset_conversion.errors import DatasetError, together


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
        modality: Modality of the series; None accepts any.
        description: part of the SeriesDescription, or the end of the series UID.
        fits: tests whether the patient's mask is aligned with a series, to choose between several.

    Returns:
        The series, and notes on what was skipped (without names of persons or folders).

    Raises:
        DatasetError: no series or several match, or the slices do not form a regular volume.
    """
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
    notes = [
        f"a DICOM {kind} object is not read; export segmentations as NIfTI or .seg.nrrd"
        for kind in sorted({other.modality for other in others})
        if kind in ("SEG", "RTSTRUCT")
    ]
    groups = _matching(
        _grouped([s for s in slices if not s.localizer]), who, modality, description, notes
    )
    if not groups:
        return None, notes
    if len(groups) > 1 and fits is not None:
        groups = _fitting(groups, who, fits, notes)
    if len(groups) > 1:
        raise DatasetError(
            f"{who}: {len(groups)} DICOM series, expected one; {_listed(groups)}; choose with "
            "--series TEXT (part of the description, or the end of the UID)"
        )
    ordered, affine = sort_slices(groups[0], who)
    return Series(tuple(ordered), affine), notes


def read_series(series: Series, who: str) -> sitk.Image:
    """Read the rescaled pixels (for CT: HU) as a float32 volume.

    Raises:
        DatasetError: see `read_pixels`.
    """
    return read_pixels(series.slices, series.affine, who)


def _grouped(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Group by series UID, matrix and orientation (the UID alone is not enough: it may be empty)."""
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


def _matching(groups: list[list[Slice]], who: str, modality: str | None, description: str | None,
           notes: list[str]) -> list[list[Slice]]:  # fmt: skip
    """Return the groups that match modality and text; see `find_series`."""
    if not groups:
        return []
    fitting = [g for g in groups
               if modality is None or g[0].modality.upper() == modality.upper()]  # fmt: skip
    if not fitting:
        found = sorted({g[0].modality or "none" for g in groups})
        raise DatasetError(
            f"{who}: DICOM Modality is {', '.join(found)}, expected {modality}; pass "
            f"--modality {found[0]} if that is intended, or remove the series"
        )
    if len(fitting) < len(groups):
        others = sorted({g[0].modality for g in groups if g not in fitting})
        notes.append(f"skipped DICOM series of modality {', '.join(others)}")
    if description is None:
        return fitting
    text = description.casefold()
    named = [g for g in fitting if text in g[0].description.casefold()
             or (g[0].uid and g[0].uid.endswith(description))]  # fmt: skip
    if not named:
        raise DatasetError(f"{who}: no series matches --series {description!r}; {_listed(fitting)}")
    return named


def _fitting(groups: list[list[Slice]], who: str, fits: Callable[[Series], bool],
             notes: list[str]) -> list[list[Slice]]:  # fmt: skip
    """Return the series that the mask is aligned with; all groups if that is not exactly one."""
    aligned = []
    for group in groups:
        try:
            ordered, affine = sort_slices(group, who)
        except DatasetError:
            continue
        if fits(Series(tuple(ordered), affine)):
            aligned.append(group)
    if len(aligned) != 1:
        return groups
    notes.append(f"of {len(groups)} DICOM series, used the one that the mask is aligned with")
    return aligned


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
