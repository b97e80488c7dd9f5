"""One case of a dataset: who it is, where it came from, and how to load it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import SimpleITK as sitk

from dataset_conversion.cases.transforms import Step, told
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.atomic_files import digest_json

SUBSETS = ("train", "val", "test")


@dataclass(frozen=True)
class Sample:
    """What a loader returns.

    Attributes:
        images: one volume for each channel, values as they shall be written (for CT: HU).
        mask: label map with the source's values, on its own grid; None for a case without.
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
        where: the source, for messages on the terminal and the user's key file.
        sources: role (image, mask, ...) -> SHA-256 of its bytes; a change means a new conversion.
        labelled: has a mask; without one it goes to imagesTs.
        voxels: of one channel, for the estimate of disk space.
        load: reads the source, perhaps in a thread; raises DatasetError.
        subset: the dataset's own: train, val, test, or "" where it says nothing.
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
        """Stop at a subset of another name."""
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
        steps: what is done to a case on its grid, in this order: crops, slices, resampling.
        orientation: where x, y, z run to, as ITK's code; nothing is resampled for it.
        allow_empty: let masks without any label through.
        resample_mask: let masks on another grid be resampled where the overlap is proven.
    """

    window: tuple[float, float] | None = None
    steps: tuple[Step, ...] = ()
    orientation: str = "LPS"
    allow_empty: bool = False
    resample_mask: bool = False

    def told(self) -> list[str]:
        """Say what changes a case beyond its orientation and labels."""
        window = (
            [f"values {self.window[0]:g} to {self.window[1]:g} mapped to 0 to 1"]
            if self.window
            else []
        )
        return [*(told(step) for step in self.steps), *window]


def apart(cases: Sequence[Case]) -> tuple[list[Case], list[str]]:
    """Return the cases by name, without those whose ids are the same or differ only in case.

    Some disks hold ids that differ only in case for one. All cases of such an id are left out
    and named, as nobody knows which of them is right.
    """
    same: dict[str, list[Case]] = {}
    for case in sorted(cases, key=lambda case: case.name):
        same.setdefault(case.name.casefold(), []).append(case)
    problems = []
    for twins in same.values():
        if len(twins) > 1:
            why = (
                "get the same case id (the same image twice?); take one away or rename one"
                if len({case.name for case in twins}) == 1
                else "get ids that differ only in upper and lower case; rename one"
            )
            places = " and ".join(case.where for case in twins)
            problems.append(f"{places} ({twins[0].name}) {why}")
    return [twins[0] for twins in same.values() if len(twins) == 1], problems
