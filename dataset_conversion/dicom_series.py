"""Choose a patient's DICOM series, prove its geometry, and read it as one volume (LPS mm, HU)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dataset_conversion.dicom_slices import NoImage, Slice, read_slice
from dataset_conversion.errors import DatasetError, together
from dataset_conversion.geometry import like
from dataset_conversion.slice_stack import prove_stack


@dataclass(frozen=True)
class Series:
    """One series whose geometry is proven: files from the lowest slice up the normal."""

    paths: tuple[Path, ...]
    matrix: tuple[int, int]
    affine: np.ndarray
    patient: str
    headless: bool

    @property
    def size(self) -> tuple[int, int, int]:
        """Voxels along x, y, z."""
        return (self.matrix[1], self.matrix[0], len(self.paths))


def find_series(files: Sequence[Path], who: str, *, modality: str = "CT",
                wanted: str | None = None) -> tuple[Series | None, list[str]]:  # fmt: skip
    """Return the one series among a patient's files, or None where there is no DICOM.

    Args:
        files: candidates; those that are no DICOM are passed over.
        who: the patient's folder, for messages.
        modality: the Modality that is wanted; objects of another are passed over beside it.
        wanted: text that the SeriesDescription contains, or with which the UID ends.

    Returns:
        The series, and notes on what was passed over (no names, no folders).

    Raises:
        DatasetError: no series or several are left, or the slices make no regular volume.
    """
    objects, problems = [], []
    for path in sorted(files):
        try:
            objects.append(read_slice(path))
        except DatasetError as error:
            problems.append(str(error))
    if problems:
        raise together(problems)
    if not any(objects):
        return None, []
    notes = [
        f"a DICOM {kind} object is not read; export a segmentation as NIfTI or .seg.nrrd"
        for kind in sorted({o.modality for o in objects if isinstance(o, NoImage)})
        if kind in ("SEG", "RTSTRUCT")
    ]
    slices = [o for o in objects if isinstance(o, Slice) and not o.localizer]
    chosen = _chosen(_grouped(slices), who, modality, wanted, notes)
    if chosen is None:
        return None, notes
    paths, affine = prove_stack(chosen, who)
    first = chosen[0]
    headless = any(s.headless for s in chosen)
    return Series(tuple(paths), first.matrix, affine, first.patient, headless), notes


def read_series(series: Series, who: str) -> sitk.Image:
    """Read the pixels as float32, rescaled (for CT: HU), on the proven grid.

    Raises:
        DatasetError: the pixels cannot be decoded, or ITK sees another geometry.
    """
    if series.headless:  # GDCM refuses files without preamble; pydicom reads them
        array = np.stack([_headless_pixels(path) for path in series.paths])
        return _on_affine(array, series.affine)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(path) for path in series.paths])
    # ITK takes the type of the first slice for all: a later slope with a fraction would be cut.
    reader.SetOutputPixelType(sitk.sitkFloat32)
    try:
        with _quiet_itk():
            image = reader.Execute()
    except RuntimeError as error:
        raise DatasetError(
            f"{who}: the pixels of the DICOM series cannot be decoded; copy it again, or convert "
            f"it with dcm2niix ({' '.join(str(error).split())[-120:]})"
        ) from error
    if image.GetSize() != series.size:
        raise DatasetError(f"{who}: ITK reads {image.GetSize()} voxels, not {series.size}")
    spacing = np.linalg.norm(series.affine[:3, :3], axis=0)
    direction = series.affine[:3, :3] / spacing
    seen = (image.GetOrigin(), image.GetDirection(), image.GetSpacing()[:2])
    meant = (series.affine[:3, 3], direction.ravel(), spacing[:2])
    if not all(np.allclose(s, m, atol=2e-2) for s, m in zip(seen, meant, strict=True)):
        raise DatasetError(
            f"{who}: ITK reads another geometry than the slices' headers say (origin "
            f"{image.GetOrigin()}); convert the series with dcm2niix and look at it"
        )
    return _on_affine(sitk.GetArrayViewFromImage(image), series.affine)


class _quiet_itk:  # noqa: N801
    """Hold back ITK's own warnings, such as those on spacing, which is proven here."""

    def __enter__(self) -> None:
        self._shown = sitk.ProcessObject.GetGlobalWarningDisplay()
        sitk.ProcessObject.SetGlobalWarningDisplay(False)

    def __exit__(self, *_: object) -> None:
        sitk.ProcessObject.SetGlobalWarningDisplay(self._shown)


def _on_affine(array: np.ndarray, affine: np.ndarray) -> sitk.Image:
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    grid = sitk.Image(1, 1, 1, sitk.sitkUInt8)
    grid.SetSpacing([float(v) for v in spacing])
    grid.SetDirection([float(v) for v in (affine[:3, :3] / spacing).ravel()])
    grid.SetOrigin([float(v) for v in affine[:3, 3]])
    return like(array, grid)


def _headless_pixels(path: Path) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data: Any = pydicom.dcmread(path, force=True)
        if "TransferSyntaxUID" not in data.file_meta:
            implicit, little = data.original_encoding
            plain = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
            data.file_meta.TransferSyntaxUID = plain if little else ExplicitVRBigEndian
        try:
            pixels = data.pixel_array.astype(np.float32)
        except Exception as error:  # pydicom raises many kinds, by decoder
            raise DatasetError(f"{path}: no header and pixels that cannot be decoded") from error
    slope, offset = data.get("RescaleSlope", 1) or 1, data.get("RescaleIntercept", 0) or 0
    result: np.ndarray = pixels * np.float32(slope) + np.float32(offset)
    return result


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


def _chosen(groups: list[list[Slice]], who: str, modality: str, wanted: str | None,
            notes: list[str]) -> list[Slice] | None:  # fmt: skip
    """Return the one group that is meant; see `find_series`."""
    if not groups:
        return None
    fitting = [g for g in groups if g[0].modality.upper() == modality.upper()]
    if not fitting:
        found = sorted({g[0].modality or "none" for g in groups})
        raise DatasetError(
            f"{who}: DICOM Modality is {', '.join(found)}, {modality} is expected; give the "
            "modality that is meant, or take the series away"
        )
    if len(fitting) < len(groups):
        others = sorted({g[0].modality for g in groups if g not in fitting})
        notes.append(f"DICOM series of modality {', '.join(others)} passed over")
    if wanted is not None:
        text = wanted.casefold()
        named = [g for g in fitting if text in g[0].description.casefold()
                 or (g[0].uid and g[0].uid.endswith(wanted))]  # fmt: skip
        if not named:
            raise DatasetError(f"{who}: no series fits --series {wanted!r}; {_listed(fitting)}")
        fitting = named
    if len(fitting) > 1:
        raise DatasetError(
            f"{who}: {len(fitting)} DICOM series, one is needed; {_listed(fitting)}; choose with "
            "--series TEXT (part of the description, or the end of the UID)"
        )
    return fitting[0]


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
