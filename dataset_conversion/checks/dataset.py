"""Check a dataset in nnU-Net's raw format, whatever tool wrote it, without changing it."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.cases.mask_alignment import ALIGNED
from dataset_conversion.checks.finding import Finding
from dataset_conversion.checks.layout import Layout, RawCase, read_layout
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.atomic_files import digest
from dataset_conversion.io.geometry import affine, in_mm
from dataset_conversion.io.label_maps import read_mask
from dataset_conversion.io.library_warnings import quiet_itk
from dataset_conversion.io.orientation import SLICES_FIRST, stored_code
from dataset_conversion.io.volumes import Header, header_of, is_volume, read_header, read_volume
from dataset_conversion.labels import IGNORE, histogram, spans
from dataset_conversion.parallel import Progress, each
from dataset_conversion.raw_format.manifest import FILE as MANIFEST
from dataset_conversion.raw_format.summary import counted

_SPACING = 1e-5  # relative; nnU-Net stops above it


@dataclass(frozen=True)
class CheckedCase:
    """Findings of a case, label value -> voxels, spacing in mm, orientation."""

    findings: list[Finding]
    voxels: dict[int, int] = field(default_factory=dict)
    spacing: tuple[float, ...] = ()
    orientation: str = ""


@dataclass(frozen=True)
class CheckReport:
    """All findings, with counts of labels, spacings and orientations."""

    folder: Path
    findings: list[Finding]
    training: int
    test: int
    holders: dict[str, int]
    spacings: dict[str, int]
    orientations: dict[str, int]

    @property
    def errors(self) -> int:
        """Number of findings at which nnU-Net stops, or should."""
        return sum(finding.error for finding in self.findings)

    def __str__(self) -> str:
        """Return the text for the terminal."""
        lines = [str(finding) for finding in self.findings]
        lines.append(
            f"{self.folder}: {counted(self.training, 'training case')}, {counted(self.test, 'test case')}"
        )
        lines.append("  cases with each label: " + _counted(self.holders))
        lines.append(f"  spacings (x, y, z in mm): {_counted(self.spacings)}")
        lines.append(f"  orientations: {_counted(self.orientations)}")
        warnings = len(self.findings) - self.errors
        lines.append(f"  {counted(self.errors, 'error')}, {counted(warnings, 'warning')}")
        return "\n".join(lines)


def check(folder: Path, *, jobs: int = 1, allow_empty: bool = False,
          preprocessed: Path | None = None, progress: Progress | None = None) -> CheckReport:  # fmt: skip
    """Check all files of a dataset's folder.

    Args:
        folder: `Dataset<id>_<name>`.
        jobs: cases at a time.
        allow_empty: accept masks without a label.
        preprocessed: nnUNet_preprocessed, to compare the splits.
        progress: wraps the cases, e.g. tqdm.

    Raises:
        DatasetError: the folder is not a dataset.
    """
    layout = read_layout(Path(folder), preprocessed)
    layout.allow_empty |= allow_empty
    seen: dict[int, CheckedCase] = {}
    places = range(len(layout.cases))
    for index, found in each(lambda i: look(layout, layout.cases[i]), places, jobs, progress):
        if isinstance(found, DatasetError):  # not from a case: `look` returns those as findings
            raise found
        seen[index] = found
    looked = [seen[index] for index in sorted(seen)]
    findings = [*layout.findings, *(f for one in looked for f in one.findings)]
    holders = {
        name: sum(any(one.voxels.get(v) for v in values) for one in looked)
        for name, values in layout.labels.items()
    }
    never = [name for name, count in holders.items() if not count and name != IGNORE]
    if never and looked:
        findings.append(Finding(f"labels {never} occur in no case", error=False))
    orientations = Counter(one.orientation for one in looked if one.orientation)
    if len(orientations) > 1 and not _slices_first(layout, looked):
        text = f"orientations differ: {_counted(orientations)}; nnU-Net does not reorient and would train on both"
        findings.append(Finding(text, error=False))
    training = sum(case.training for case in layout.cases)
    return CheckReport(
        layout.folder,
        findings,
        training,
        len(layout.cases) - training,
        holders,
        dict(Counter(in_mm(one.spacing) for one in looked if one.spacing)),
        dict(orientations),
    )


def _slices_first(layout: Layout, looked: Sequence[CheckedCase]) -> bool:
    """Return whether each case has its slice axis first, as dataset.json records."""
    return layout.orientation == SLICES_FIRST and all(
        stored_code(one.spacing, one.orientation, SLICES_FIRST) == one.orientation
        for one in looked
        if one.orientation
    )


def look(layout: Layout, case: RawCase) -> CheckedCase:
    """Check that a case's files are complete, share one grid and agree with dataset.json."""
    findings: list[Finding] = []
    grids: list[Header] = []
    for path in case.images:
        try:
            grids.append(_image_grid(layout, path))
        except DatasetError as error:
            findings.append(Finding(str(error), case.name))
    for number, grid in enumerate(grids[1:], 1):
        if len(grids) == len(case.images):
            findings += _apart(grids[0], grid, case.name, f"channel {number}")
    voxels: dict[int, int] = {}
    if case.label is not None:
        try:
            grid, voxels = _label(layout, case.label)
            findings += _label_findings(layout, case.name, voxels)
            if grids:
                findings += _apart(grids[0], grid, case.name, "the label map")
        except DatasetError as error:
            findings.append(Finding(str(error), case.name))
    if not grids:
        return CheckedCase(findings, voxels)
    return CheckedCase(findings, voxels, grids[0].spacing, grids[0].orientation)


def _image_grid(layout: Layout, path: Path) -> Header:
    """Return an image's grid, after checking that the file is complete and its values finite."""
    if not path.is_file():
        raise DatasetError(f"{path}: is missing")
    if not is_volume(path):
        return header_of(_plain(path))
    if _unchanged(layout, path):
        return read_header(path)
    volume = read_volume(path)
    if volume.raw.ndim != 3:
        raise DatasetError(f"{path}: {volume.raw.shape[-1]} values per voxel; expected one")
    z, y, x = volume.raw.shape
    return Header((x, y, z), affine(volume.grid))


def _label(layout: Layout, path: Path) -> tuple[Header, dict[int, int]]:
    if not path.is_file():
        raise DatasetError(f"{path}: is missing")
    if not is_volume(path):
        image = _plain(path)
        return header_of(image), {int(v): int(n) for v, n in zip(
            *np.unique(sitk.GetArrayViewFromImage(image), return_counts=True), strict=True)}  # fmt: skip
    _unchanged(layout, path)
    mask = read_mask(path).image
    return header_of(mask), histogram(sitk.GetArrayViewFromImage(mask))


def _unchanged(layout: Layout, path: Path) -> bool:
    """Return whether a file is in the manifest, and has not changed.

    Raises:
        DatasetError: it has changed.
    """
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
    try:
        with quiet_itk:
            image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise DatasetError(f"{path}: cannot be read; copy or export it again") from error
    return image if image.GetDimension() == 3 else sitk.JoinSeries(image)


def _label_findings(layout: Layout, name: str, voxels: dict[int, int]) -> list[Finding]:
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


def _counted(counts: dict[str, int] | Counter[str]) -> str:
    return ", ".join(f"{key} ({count})" for key, count in counts.items()) or "none"
