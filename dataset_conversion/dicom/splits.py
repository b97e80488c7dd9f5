"""Split the slices of one orientation by attributes and by time, and check what is split.

Two passes over one region may be at other positions, so that together they look like one stack of
half the spacing. Phases are at the same positions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dataset_conversion.dicom.decimals import parse
from dataset_conversion.dicom.headers import Slice
from dataset_conversion.dicom.slice_geometry import GAP_MM, stack_of
from dataset_conversion.dicom.traits import ORDERING

_OVERLAP = 1.2  # slices at least so many times thicker than their distance are of two passes


def grouped(slices: Sequence[Slice], names: Sequence[str]) -> list[list[Slice]]:
    """Group by attributes, in the order of their values."""
    groups: dict[tuple[str, ...], list[Slice]] = {}
    for item in slices:
        groups.setdefault(tuple(item.traits.get(n, "") for n in names), []).append(item)
    return [groups[key] for key in sorted(groups, key=_natural)]


def _natural(key: tuple[str, ...]) -> list[tuple[float, str]]:
    numbers = [parse(text, 1) for text in key]
    return [(number.values[0] if number and number.values else np.inf, text)
            for number, text in zip(numbers, key, strict=True)]  # fmt: skip


def even(slices: Sequence[Slice]) -> bool:
    """Check for two or more evenly spaced slices."""
    return len(slices) > 1 and stack_of(slices).even


def distinct(slices: Sequence[Slice]) -> bool:
    """Check for three or more slices, none at the position of another; gaps may differ."""
    return len(slices) > 2 and not stack_of(slices).doubles.size


def interleaved(groups: Sequence[Sequence[Slice]]) -> bool:
    """Check whether each group shares its part of the normal with another group."""
    every = stack_of([item for group in groups for item in group])
    heights = [
        np.array([item.position for item in group], float) @ every.normal for group in groups
    ]
    ranges = [(values.min(), values.max()) for values in heights]
    return all(
        any(low <= other_high and other_low <= high
            for j, (other_low, other_high) in enumerate(ranges) if i != j)
        for i, (low, high) in enumerate(ranges)
    )  # fmt: skip


def thick(slices: Sequence[Slice]) -> bool:
    """Check whether slices overlap, as those of two passes do, unlike those of one interleaved pass."""
    thickness = min(item.thickness for item in slices)
    return thickness == 0 or thickness >= _OVERLAP * abs(stack_of(slices).step)


def passes(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Split two or more passes over one region, at other positions, by their times or numbers."""
    stack = stack_of(slices)
    if stack.doubles.size or (stack.even and not thick(slices)):
        return []
    found = [grouped(stack.slices, (name,)) for name in ORDERING[:-1]]
    found += [_by_occurrence(stack.slices)]
    halves = [list(stack.slices[start::2]) for start in (0, 1)]
    found += [sorted(halves, key=lambda half: _times(half, name))
              for name in ORDERING if _one_after_the_other(halves, name)]  # fmt: skip
    for groups in found:
        if len(groups) > 1 and all(even(group) for group in groups) and interleaved(groups):
            return groups
    return []


def _by_occurrence(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Group images whose InstanceNumber occurs for the first, second, ... time, if each occurs as often."""
    seen: dict[str, list[Slice]] = {}
    for item in slices:
        seen.setdefault(item.traits.get("InstanceNumber", ""), []).append(item)
    times = {len(group) for group in seen.values()}
    if "" in seen or len(times) != 1:
        return []
    return [[group[at] for group in seen.values()] for at in range(times.pop())]


def _times(slices: Sequence[Slice], name: str) -> list[float]:
    keys = [parse(item.traits.get(name, ""), 1) for item in slices]
    return [key.values[0] for key in keys if key and key.values]


def _one_after_the_other(halves: Sequence[Sequence[Slice]], name: str) -> bool:
    """Check whether all images of one half come before the other's."""
    first, second = (_times(half, name) for half in halves)
    if len(first) < len(halves[0]) or len(second) < len(halves[1]):
        return False
    return max(first) < min(second) or max(second) < min(first)


def phases(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Split images of the same positions, equally many of each, by their order in time."""
    stack = stack_of(slices)
    cuts = np.flatnonzero(np.diff(stack.heights) >= GAP_MM) + 1
    places = [list(group) for group in np.split(np.array(stack.slices, dtype=object), cuts)]
    count = len(places[0])
    if count < 2 or any(len(place) != count for place in places):
        return []
    for name in ORDERING:
        times = [_times(place, name) for place in places]
        if all(len(set(place)) == count for place in times):
            order = [np.argsort(place) for place in times]
            found = [[place[rank[at]] for place, rank in zip(places, order, strict=True)]
                      for at in range(count)]  # fmt: skip
            return found if all(even(phase) for phase in found) else []
    return []
