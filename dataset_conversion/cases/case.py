"""One case of a dataset: its id, its sources, how to load it and how to write it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import SimpleITK as sitk

from dataset_conversion.cases.transforms import Step, shown
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.atomic_files import digest_json

SUBSETS = ("train", "val", "test")


@dataclass(frozen=True)
class Sample:
    """The volumes that a loader returns.

    Attributes:
        images: one volume per channel, with the values to write (for CT: HU).
        mask: label map with the source's values, on its own grid; None if there is none.
        notes: messages for the summary; must not contain names of persons or folders.
    """

    images: tuple[sitk.Image, ...]
    mask: sitk.Image | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """One case.

    Attributes:
        name: case id, part of the file names; must not identify a person.
        group: cases of one group (a patient) stay in one fold; never written.
        where: the source, for messages on the terminal and the user's key file.
        sources: role (image, mask, ...) -> SHA-256 of its bytes; a change triggers a new conversion.
        labelled: has a mask; a case without one goes to imagesTs.
        voxels: per channel, for the estimate of disk space.
        load: reads the source, possibly in a thread; raises DatasetError.
        subset: the dataset's own subset: train, val, test, or "" if unknown.
    """

    name: str
    group: str
    where: str
    sources: Mapping[str, str]
    labelled: bool
    voxels: int
    load: Callable[[], Sample]
    subset: str = ""

    def __post_init__(self) -> None:
        """Reject unknown subsets."""
        if self.subset not in ("", *SUBSETS):
            raise DatasetError(
                f"{self.where}: subset {self.subset!r}; allowed: {', '.join(SUBSETS)}, or none"
            )

    @property
    def digest(self) -> str:
        """SHA-256 over all sources."""
        return digest_json(dict(self.sources))


@dataclass(frozen=True)
class Output:
    """How cases are written.

    Attributes:
        window: (low, high); values are clipped and mapped linearly to [0, 1] as float32.
        steps: transforms of a case, in order: crops, slices, resampling.
        orientation: ITK's code for the directions of x, y, z, or slices-first (see
            `oriented_to`); reached without resampling.
        allow_empty: accept masks without any label.
        resample_mask: resample masks on another grid if position and volumes prove that they belong to the image.
        ignore_mask_header: a mask of its image's size that its header does not place gets the image's grid.
        sides_as_labelled: accept labels of left and right whose positions are exchanged.
    """

    window: tuple[float, float] | None = None
    steps: tuple[Step, ...] = ()
    orientation: str = "LPS"
    allow_empty: bool = False
    resample_mask: bool = False
    ignore_mask_header: bool = False
    sides_as_labelled: bool = False

    def changes(self) -> list[str]:
        """Describe what changes a case besides its orientation and labels.

        >>> Output(window=(-200, 1200)).changes()
        ['values -200 to 1200 mapped to 0 to 1']
        """
        changes = [shown(step) for step in self.steps]
        if self.window:
            changes.append(f"values {self.window[0]:g} to {self.window[1]:g} mapped to 0 to 1")
        return changes


def unique(cases: Sequence[Case]) -> tuple[list[Case], list[str]]:
    """Return the cases sorted by name, without those whose ids differ at most in letter case.

    Some file systems treat such ids as one file. All cases of such an id are left out and
    reported, since none of them is known to be the right one.
    """
    same: dict[str, list[Case]] = {}
    for case in sorted(cases, key=lambda case: case.name):
        same.setdefault(case.name.casefold(), []).append(case)
    problems = []
    for twins in same.values():
        if len(twins) > 1:
            why = (
                "get the same case id (the same image twice?); remove or rename one"
                if len({case.name for case in twins}) == 1
                else "get ids that differ only in upper and lower case; rename one"
            )
            places = " and ".join(case.where for case in twins)
            problems.append(f"{places} ({twins[0].name}) {why}")
    return [twins[0] for twins in same.values() if len(twins) == 1], problems
