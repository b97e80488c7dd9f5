"""Check a dataset in nnU-Net's raw format, whatever tool wrote it, without changing it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dataset_conversion.cases.implausible import Looked, implausible
from dataset_conversion.cases.slice_direction import grid_notes, in_plane
from dataset_conversion.checks.case import CheckedCase, look
from dataset_conversion.checks.channels import channel_findings
from dataset_conversion.checks.copies import copy_findings
from dataset_conversion.checks.finding import Finding
from dataset_conversion.checks.layout import Layout, read_layout
from dataset_conversion.errors import together
from dataset_conversion.io.geometry import in_mm
from dataset_conversion.io.orientation import SLICES_FIRST, slice_index, stored_code
from dataset_conversion.labels import IGNORE
from dataset_conversion.parallel import Progress, gather
from dataset_conversion.raw_format.summary import counted


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
        preprocessed: nnUNet_preprocessed, to compare splits and preprocessed cases.
        progress: wraps the cases, e.g. tqdm.

    Raises:
        DatasetError: the folder is not a dataset.
    """
    layout = read_layout(Path(folder), preprocessed)
    layout.allow_empty |= allow_empty
    done, problems = gather(partial(look, layout), layout.cases, jobs, progress)
    if problems:  # not from a case: `look` returns those as findings
        raise together(problems)
    looked = [found for _, found in done]
    findings = [
        *layout.findings,
        *(f for one in looked for f in one.findings),
        *across(layout, looked),
    ]
    holders = {
        name: sum(any(one.voxels.get(v) for v in values) for one in looked)
        for name, values in layout.labels.items()
    }
    orientations = Counter(one.orientation for one in looked if one.orientation)
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


def across(layout: Layout, looked: Sequence[CheckedCase]) -> list[Finding]:
    """Compare the cases with each other: copies, channels, labels, orientations, slices."""
    findings = [*copy_findings(layout, looked), *channel_findings(layout, looked)]
    held = {value for one in looked for value, count in one.voxels.items() if count}
    never = [name for name, values in layout.labels.items()
             if not held & set(values) and name != IGNORE]  # fmt: skip
    texts = [f"labels {never} occur in no case"] if never and looked else []
    orientations = Counter(one.orientation for one in looked if one.orientation)
    if len(orientations) > 1 and not _slices_first(layout, looked):
        texts.append(
            f"orientations differ: {_counted(orientations)}; nnU-Net does not reorient and would train "
            "on both"
        )
    grids = [(one.spacing, one.orientation) for one in looked if one.spacing]
    one_axis = len({slice_index(spacing) for spacing, _ in grids} - {None}) <= 1
    measures = {one.case.name: one.measures for one in looked if one.measures is not None}
    groups = {name: str(number) for name, number in layout.patients.items()}
    texts += implausible(Looked(measures, groups, layout.channel_names, layout.labels))
    notes = [in_plane(grids)] if one_axis else grid_notes(grids, slices_first=False, sided=False)
    return [*findings, *(Finding(text, error=False) for text in [*texts, *notes] if text)]


def _slices_first(layout: Layout, looked: Sequence[CheckedCase]) -> bool:
    """Return whether each case has its slice axis first, as dataset.json records."""
    return layout.orientation == SLICES_FIRST and all(
        stored_code(one.spacing, one.orientation, SLICES_FIRST) == one.orientation
        for one in looked
        if one.orientation
    )


def _counted(counts: dict[str, int] | Counter[str]) -> str:
    return ", ".join(f"{key} ({count})" for key, count in counts.items()) or "none"
