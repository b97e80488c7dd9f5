"""Check one case of a raw dataset: files, grids, label values, and facts on its images."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.cases.holes import holes
from dataset_conversion.cases.intensities import Intensities, intensities, label_key
from dataset_conversion.cases.mask_alignment import ALIGNED
from dataset_conversion.cases.measures import Measures, measure
from dataset_conversion.cases.side_check import exchanged_sides
from dataset_conversion.checks.finding import Finding
from dataset_conversion.checks.layout import Layout, RawCase
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.atomic_files import digest
from dataset_conversion.io.file_names import check_name
from dataset_conversion.io.geometry import affine
from dataset_conversion.io.label_maps import read_mask
from dataset_conversion.io.library_warnings import quiet_itk
from dataset_conversion.io.volumes import Header, header_of, is_volume, read_header, read_volume
from dataset_conversion.labels import IGNORE, histogram, spans
from dataset_conversion.raw_format.manifest import FILE as MANIFEST

_SPACING = 1e-5  # relative; nnU-Net stops above it


@dataclass(frozen=True)
class CheckedCase:
    """What a case's files hold.

    Attributes:
        case: the case.
        findings: on its files.
        voxels: label value -> voxels.
        spacing: mm; empty if no image is readable.
        orientation: of the first image.
        facts: channel -> facts on the image's values.
        label_key: of the label map, to find it among the images; see `Intensities`.
        measures: what shows implausible data; None if a file cannot be read.
    """

    case: RawCase
    findings: list[Finding]
    voxels: dict[int, int] = field(default_factory=dict)
    spacing: tuple[float, ...] = ()
    orientation: str = ""
    facts: dict[int, Intensities] = field(default_factory=dict)
    label_key: str = ""
    measures: Measures | None = None


@dataclass(frozen=True)
class _Label:
    """A label map, its grid, voxels of each value, missed slices as text, key, and exchanged sides as text."""

    image: sitk.Image

    grid: Header
    voxels: dict[int, int]
    holes: str
    key: str
    sides: str = ""


def look(layout: Layout, case: RawCase) -> CheckedCase:
    """Check that a case's files are complete, share one grid and agree with dataset.json."""
    findings: list[Finding] = []
    grids: list[Header] = []
    facts: dict[int, Intensities] = {}
    arrays: list[np.ndarray | None] = []
    for channel, path in enumerate(case.images):
        try:
            grid, facts[channel], values = _image(layout, path)
            grids.append(grid)
            arrays.append(values)
        except DatasetError as error:
            findings.append(Finding(str(error), case.name))
    for number, grid in enumerate(grids[1:], 1):
        if len(grids) == len(case.images):
            findings += _apart(grids[0], grid, case.name, f"channel {number}")
    label = None
    if case.label is not None:
        try:
            label = _label(case.label, layout)
            findings += _label_findings(layout, case.name, label)
            if grids:
                findings += _apart(grids[0], label.grid, case.name, "the label map")
        except DatasetError as error:
            findings.append(Finding(str(error), case.name))
    return CheckedCase(
        case,
        findings,
        label.voxels if label else {},
        grids[0].spacing if grids else (),
        grids[0].orientation if grids else "",
        facts,
        label.key if label else "",
        _measures(layout, case, arrays, label, grids),
    )


def _measures(layout: Layout, case: RawCase, arrays: Sequence[np.ndarray | None], label: _Label | None,
              grids: Sequence[Header]) -> Measures | None:  # fmt: skip
    """Return the measures that the conversion recorded, or those of the files."""
    read = [values for values in arrays if values is not None]
    if len(arrays) < len(case.images) or (case.label is not None and label is None):
        return None  # reported as errors
    if len(read) < len(arrays):
        return layout.measures.get(case.name)
    mask = None if label is None else sitk.GetArrayViewFromImage(label.image)
    shapes = {values.shape for values in (*read, *([] if mask is None else [mask]))}
    if len(shapes) > 1 or read[0].ndim != 3 or (mask is not None and mask.dtype.kind not in "iu"):
        return None
    return measure(read, mask, grids[0].spacing)


def image_values(path: Path) -> np.ndarray:
    """Read an image's scaled values (z, y, x)."""
    if is_volume(path):
        return read_volume(path).values
    array: np.ndarray = sitk.GetArrayFromImage(_plain(path))
    return array


def _image(layout: Layout, path: Path) -> tuple[Header, Intensities, np.ndarray | None]:
    """Return an image's grid, facts and values, after checking that the file is complete and its values finite.

    The values of a file that has not changed since the conversion are not read.
    """
    if not path.is_file():
        raise DatasetError(f"{path}: is missing")
    if not is_volume(path):
        image = _plain(path)
        array = sitk.GetArrayFromImage(image)
        return header_of(image), intensities(array), array
    if _unchanged(layout, path) and path in layout.facts:
        return read_header(path), layout.facts[path], None
    volume = read_volume(path)
    if volume.raw.ndim != 3:
        raise DatasetError(f"{path}: {volume.raw.shape[-1]} values per voxel; expected one")
    z, y, x = volume.raw.shape
    values = volume.values
    return Header((x, y, z), affine(volume.grid)), intensities(values), values


def _label(path: Path, layout: Layout) -> _Label:
    if not path.is_file():
        raise DatasetError(f"{path}: is missing")
    if is_volume(path):
        _unchanged(layout, path)
        image = read_mask(path).image
        voxels = histogram(sitk.GetArrayViewFromImage(image))
    else:
        image = _plain(path)
        voxels = {int(v): int(n) for v, n in zip(
            *np.unique(sitk.GetArrayViewFromImage(image), return_counts=True), strict=True)}  # fmt: skip
    array = sitk.GetArrayViewFromImage(image)
    gaps = holes(array, image.GetSpacing()) if array.ndim == 3 else ""
    sides = exchanged_sides(image, layout.labels) if array.ndim == 3 else ""
    return _Label(image, header_of(image), voxels, gaps, label_key(array.shape, voxels), sides)


def _unchanged(layout: Layout, path: Path) -> bool:
    """Return whether a file is in the manifest, and has not changed."""
    known = layout.digests.get(path)
    if known is None:
        return False
    if digest(path) != known:
        raise DatasetError(
            f"{path}: changed after the conversion (its SHA-256 differs from {MANIFEST})"
        )
    return True


def _plain(path: Path) -> sitk.Image:
    """Read an image of another format, such as PNG or TIFF."""
    check_name(path)
    try:
        with quiet_itk:
            image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise DatasetError(f"{path}: cannot be read; copy or export it again") from error
    return image if image.GetDimension() == 3 else sitk.JoinSeries(image)


def _label_findings(layout: Layout, name: str, label: _Label) -> list[Finding]:
    voxels = label.voxels
    known = {v for values in layout.labels.values() for v in values}
    unknown = sorted(set(voxels) - known) if known else []
    findings = []
    if unknown:
        text = f"label values {unknown} are not in dataset.json (known: {spans(known)})"
        findings.append(Finding(text, name))
    ignore = set(layout.labels.get(IGNORE, ()))
    if not set(voxels) - {0} - ignore and not layout.allow_empty:
        text = "the mask is empty; remove the case, or pass --allow-empty if this is intended"
        findings.append(Finding(text, name))
    if label.holes:
        findings.append(Finding(label.holes, name, error=False))
    if label.sides:
        text = (
            f"{label.sides}: left and right are exchanged in dataset.json, or the mask is mirrored"
        )
        findings.append(Finding(text, name, error=not layout.sides_as_labelled))
    return findings


def _apart(first: Header, other: Header, name: str, what: str) -> list[Finding]:
    """Return a finding if two grids of a case differ."""
    if first.size != other.size:
        text = f"{what} has the size {other.size}, the image {first.size}"
        return [Finding(text, name)]
    if not np.allclose(first.spacing, other.spacing, rtol=_SPACING, atol=0):
        text = f"{what} has the spacing {_mm(other)} mm, the image {_mm(first)} mm"
        return [Finding(text, name)]
    ends = [(0, n - 1) for n in first.size]
    corners = np.array([(*corner, 1.0) for corner in itertools.product(*ends)]).T
    off = float(np.linalg.norm(((first.matrix - other.matrix) @ corners)[:3], axis=0).max())
    if off > ALIGNED * min(first.spacing):
        return [Finding(f"{what} is up to {off:.2f} mm off the image", name)]
    return []


def _mm(header: Header) -> str:
    return " x ".join(f"{value:.6g}" for value in header.spacing)
