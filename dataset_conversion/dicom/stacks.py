"""Which parts of DICOM series may be volumes, and which are scouts or screens next to them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dataset_conversion.dicom.headers import Slice
from dataset_conversion.dicom.slice_geometry import stack_of
from dataset_conversion.dicom.splits import interleaved
from dataset_conversion.dicom.volumes_in_series import Part


def is_stack(part: Part) -> bool:
    """Check whether a part may be a volume: grey images of two or more places."""
    first = part.first
    if first.samples != 1 or first.palette or (first.screen and first.missing):
        return False
    return len({item.position or number for number, item in enumerate(part.slices)}) > 1


def passed_over(part: Part, stacks: Sequence[Part]) -> bool:
    """Check whether a part next to stacks is a scout, a screen, or colours.

    A single image that continues a stack of its series, or lacks a position but is otherwise as
    its slices, is a slice with a damaged header and is not passed over.
    """
    first = part.first
    own = [stack for stack in stacks if stack.series == part.series]
    if len(part.slices) > 1 or first.samples != 1 or first.screen:
        return True
    if first.position is None:
        return not any(_described_alike(first, stack.first) for stack in own)
    return not any(_continues(first.position, stack) for stack in own)


def _described_alike(item: Slice, other: Slice) -> bool:
    kinds = [each.traits.get("ImageType", "") for each in (item, other)]
    return item.matrix == other.matrix and kinds[0] == kinds[1]


def _continues(position: Sequence[float], part: Part) -> bool:
    """Check for a position next to the first or the last slice of a stack."""
    stack = stack_of(part.slices)
    step = stack.normal * stack.step
    ends = [stack.points[0] - step, stack.points[-1] + step]
    return any(float(np.linalg.norm(np.array(position) - end)) < 0.5 * stack.step for end in ends)


def rivals(part: Part, parts: Sequence[Part]) -> list[Part]:
    """Return other parts of a part's series that show its region in the same orientation and spacing."""
    own = stack_of(part.slices)
    found = []
    for other in parts:
        if other is part or other.series != part.series or other.stack != part.stack:
            continue
        theirs = stack_of(other.slices)
        same = abs(own.step - theirs.step) <= 0.01 * own.step
        if same and interleaved([part.slices, other.slices]):
            found.append(other)
    return found
