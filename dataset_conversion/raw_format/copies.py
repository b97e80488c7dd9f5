"""Report the cases of a conversion that hold the same image under different ids."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import SimpleITK as sitk

from dataset_conversion.cases.case import Case
from dataset_conversion.cases.copies import (
    Image,
    equal_images,
    near_images,
    overlapping_images,
    telling_channels,
)
from dataset_conversion.errors import some
from dataset_conversion.raw_format.manifest import Record


@dataclass
class Copies:
    """What is found on copies.

    Attributes:
        problems: on copies under several patients.
        names: cases to leave out.
        notes: for the user.
        groups: case -> group, in which images that are nearly or partly equal share one.
    """

    problems: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    groups: dict[str, str] = field(default_factory=dict)


def find_copies(cases: Sequence[Case], done: Mapping[str, Record],
                test: Collection[str] = ()) -> Copies:  # fmt: skip
    """Find the images that several cases hold.

    Copies under two patients are problems. Copies of one patient are noted. Images that differ only
    in scale, offset or the value of air, and images that share slices, are noted and stay in one
    fold; they are problems where the test set separates them.

    Candidates are read again. `test` names the labelled cases in the test set.

    Raises:
        DatasetError: a source cannot be read again.
    """
    where = {case.name: case.where for case in cases}
    found = Copies(groups={case.name: case.group for case in cases})
    facts = {case.name: dict(enumerate(done[case.name].facts())) for case in cases}
    telling = telling_channels(facts)
    images = [Image(case.name, case.group, facts[case.name][channel], partial(_read, case, channel))
              for case in cases for channel in telling[case.name]]  # fmt: skip
    sets = {tuple(dict.fromkeys(image.case for image in same)) for same in equal_images(images)}
    for names in sorted(sets):
        if len({found.groups[name] for name in names}) > 1:
            places = " and ".join(sorted(where[name] for name in names))
            found.problems.append(f"{places} hold the same image (equal voxels); remove one")
            found.names |= set(names)
        else:
            found.notes.append(f"{some(names)} hold the same image, of one patient")
    for near in near_images([image for image in images if image.case not in found.names]):
        what = (
            "nearly the same image (they differ in scale, offset, or the value of air or padding)"
        )
        _keep_together([image.case for image in near], what, found, where, test)
    for one, other, shared in overlapping_images(
        [image for image in images if image.case not in found.names]
    ):
        if found.groups[one.case] != found.groups[other.case]:
            what = f"images of which {shared} slices are equal"
            _keep_together([one.case, other.case], what, found, where, test)
    return found


def _keep_together(names: Sequence[str], what: str, found: Copies, where: Mapping[str, str],
                   test: Collection[str]) -> None:  # fmt: skip
    """Give all groups of some cases the name of the first, unless one is in the test set and another is not."""
    if 0 < len(set(names) & set(test)) < len(set(names)):
        places = " and ".join(sorted(where[name] for name in names))
        found.problems.append(
            f"{places} hold {what}, and one of them is in the test set; remove one, or state with "
            "--groups that they are of one patient"
        )
        found.names |= set(names)
        return
    found.notes.append(f"{some(names)} hold {what}: kept in one fold; remove one if it is a copy")
    old = {found.groups[name] for name in names}
    for name, group in found.groups.items():
        if group in old:
            found.groups[name] = min(old)


def _read(case: Case, channel: int) -> np.ndarray:
    array: np.ndarray = sitk.GetArrayFromImage(case.load().images[channel])
    return array
