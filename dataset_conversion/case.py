"""One case of a dataset: who it is, where it came from, and how to load it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import SimpleITK as sitk

from dataset_conversion.errors import together


@dataclass(frozen=True)
class Sample:
    """What a loader returns.

    Attributes:
        images: one volume for each channel, values as they shall be written (for CT: HU).
        mask: label map with the source's values, on its own grid; None for a test case.
        notes: what a user should be told; no names of persons or folders.
    """

    images: tuple[sitk.Image, ...]
    mask: sitk.Image | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """One case.

    Attributes:
        name: case id, part of the file names; must not lead to a person.
        group: cases with the same group (a patient) stay in one fold; never written.
        where: the source, for messages on the terminal; never written.
        digest: SHA-256 of the source files; a change means a new conversion.
        labelled: goes to imagesTr and labelsTr, else to imagesTs.
        voxels: of one channel, for the estimate of disk space.
        load: reads the source; raises DatasetError.
    """

    name: str
    group: str
    where: str
    digest: str
    labelled: bool
    voxels: int
    load: Callable[[], Sample]


@dataclass(frozen=True)
class Output:
    """How cases are written.

    Attributes:
        window: (low, high); values are clipped and mapped linearly to [0, 1] as float32.
        drop_empty_slices: cut slices (axis z) without a label from both ends of labelled cases.
        allow_empty_masks: let masks without any label through.
    """

    window: tuple[float, float] | None = None
    drop_empty_slices: bool = False
    allow_empty_masks: bool = False


def check_names(cases: Sequence[Case]) -> None:
    """Stop at ids that are the same, or differ only in case (some disks hold them for one)."""
    seen: dict[str, Case] = {}
    problems = []
    for case in cases:
        other = seen.setdefault(case.name.casefold(), case)
        if other is case:
            continue
        why = (
            "get the same case id (the same image twice?); take one away or rename one"
            if other.name == case.name
            else "get ids that differ only in upper and lower case; rename one"
        )
        problems.append(f"{other.where} and {case.where} ({case.name}) {why}")
    if problems:
        raise together(problems)
