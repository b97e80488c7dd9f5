"""Report the cases of a conversion that hold the same image under different ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import SimpleITK as sitk

from dataset_conversion.cases.case import Case
from dataset_conversion.cases.copies import Image, equal_images, near_images
from dataset_conversion.errors import some
from dataset_conversion.raw_format.manifest import Record


@dataclass
class Copies:
    """What is found on copies.

    Attributes:
        problems: on copies under several patients.
        names: cases to leave out.
        notes: for the user.
        groups: case -> group, in which nearly equal images share one.
    """

    problems: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    groups: dict[str, str] = field(default_factory=dict)


def find_copies(cases: Sequence[Case], done: Mapping[str, Record]) -> Copies:
    """Find the images that several cases hold.

    Copies under two patients are problems. Copies of one patient are noted. Images that differ only
    in scale, offset or the value of air are noted and stay in one fold.

    Args:
        cases: all converted cases; candidates are read again.
        done: their records.

    Raises:
        DatasetError: a source cannot be read again.
    """
    where = {case.name: case.where for case in cases}
    found = Copies(groups={case.name: case.group for case in cases})
    images = [Image(case.name, case.group, fact, partial(_read, case, channel)) for case in cases
              for channel, fact in enumerate(done[case.name].facts())]  # fmt: skip
    sets = {tuple(dict.fromkeys(image.case for image in same)) for same in equal_images(images)}
    for names in sorted(sets):
        if len({found.groups[name] for name in names}) > 1:
            places = " and ".join(sorted(where[name] for name in names))
            found.problems.append(f"{places} hold the same image (equal voxels); remove one")
            found.names |= set(names)
        else:
            found.notes.append(f"{some(names)} hold the same image, of one patient")
    for near in near_images([image for image in images if image.case not in found.names]):
        found.notes.append(
            f"{some([image.case for image in near])} hold nearly the same image (they differ in scale, "
            "offset, or the value of air or padding): kept in one fold; remove one if it is a copy"
        )
        _join({image.case for image in near}, found.groups)
    return found


def _join(names: set[str], groups: dict[str, str]) -> None:
    """Give all groups of some cases the name of the first."""
    old = {groups[name] for name in names}
    for name, group in groups.items():
        if group in old:
            groups[name] = min(old)


def _read(case: Case, channel: int) -> np.ndarray:
    array: np.ndarray = sitk.GetArrayFromImage(case.load().images[channel])
    return array
