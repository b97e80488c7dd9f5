"""Separate the volumes of DICOM series: echoes, phases, kernels, contrasts, parts, stacks, scouts.

One SeriesInstanceUID may hold several volumes, and a volume may be spread over many UIDs. The
geometry comes first: slices of one orientation, matrix and pixel size that are evenly spaced are
one volume, unless an attribute that defines a volume (such as the kernel) splits them into
complete stacks. Slices that are not evenly spaced are split by the attributes that make each part
so, else by large gaps, else by their order in time.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dataset_conversion.dicom.headers import Slice
from dataset_conversion.dicom.slice_geometry import GAP_MM, stack_of
from dataset_conversion.dicom.splits import (
    distinct,
    even,
    grouped,
    interleaved,
    passes,
    phases,
    thick,
)
from dataset_conversion.dicom.traits import COUNTING, DEFINING

_SCRAPS = 2  # most single images, such as a screen, that a split may leave
_POOLED = 3  # fewest slices with one UID each that are taken as one series
_APART = 2.5  # usual gaps: a larger one separates two stacks
_FEWEST = 3  # slices of a stack that only a gap separates


@dataclass(frozen=True)
class Part:
    """Slices that may be a volume: a series, or a part of one.

    Attributes:
        slices: in any order.
        series: number of the series, equal for parts of one.
        stack: number among the series' stacks, from the feet up; 0 if there is one.
        phase: number among images of the same positions, in the order of time; 0 if there is one.
        uids: number of series UIDs.
    """

    slices: tuple[Slice, ...]
    series: int = 0
    stack: float = 0
    phase: int = 0
    uids: int = 1

    @property
    def first(self) -> Slice:
        """A slice, for what all have in common."""
        return self.slices[0]

    def trait(self, name: str) -> str | None:
        """Return an attribute as text, '' if the slices lack it, None if they differ."""
        found = {item.traits.get(name, "") for item in self.slices}
        return found.pop() if len(found) == 1 else None


def separate(slices: Sequence[Slice], together: Collection[str] = ()) -> list[Part]:
    """Separate slices into volumes.

    Attributes in `together` do not separate; "phase" stands for times.
    """
    found = []
    for number, series in enumerate(_series(slices)):
        uids = len({item.uid for item in series})
        parts = [volume for at, stack in enumerate(_stacks(series))
                 for volume in _volumes(Part(tuple(stack), number, at, uids=uids), together)]  # fmt: skip
        found += _numbered(parts)
    return found


def _numbered(parts: Sequence[Part]) -> list[Part]:
    """Number the stacks of a series from the feet up."""
    stacks: dict[float, list[Slice]] = {}
    for part in parts:
        stacks.setdefault(part.stack, []).extend(part.slices)
    order = sorted(stacks, key=lambda stack: _height(stacks[stack]))
    if len(order) == 1:
        return [replace(part, stack=0) for part in parts]
    numbered = [replace(part, stack=order.index(part.stack) + 1) for part in parts]
    return sorted(numbered, key=lambda part: part.stack)


def _series(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Group by series UID and modality; slices with one UID each by study, number and description."""
    count = Counter(item.uid for item in slices)
    studies = Counter(item.study for item in slices)
    groups: dict[tuple[str, ...], list[Slice]] = {}
    pools: dict[tuple[str, ...], list[Slice]] = {}
    for item in slices:
        # An anonymiser may also have given each slice its own study.
        study = item.study if studies[item.study] > 1 else ""
        key = (study, item.number, item.description, item.modality)
        if count[item.uid] == 1 and item.uid and not item.missing and item.frame is None:
            pools.setdefault(key, []).append(item)
        else:
            groups.setdefault((item.uid, item.modality) if item.uid else key, []).append(item)
    found = list(groups.values())
    for pool in pools.values():
        found += [pool] if len(pool) >= _POOLED else [[item] for item in pool]
    return found


def _stacks(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Group by kind, matrix, pixel size and orientation."""
    groups: list[list[Slice]] = []
    for item in slices:
        for group in groups:
            if _alike(group[0], item):
                group.append(item)
                break
        else:
            groups.append([item])
    return groups


def _alike(a: Slice, b: Slice) -> bool:
    if (a.matrix, a.localizer, a.samples) != (b.matrix, b.localizer, b.samples):
        return False
    return _close(a.orientation, b.orientation, 1e-3) and _close(
        a.pixel, b.pixel, 1e-3 * min(a.pixel or (1.0,))
    )


def _close(a: tuple[float, ...] | None, b: tuple[float, ...] | None, margin: float) -> bool:
    if a is None or b is None:
        return a is b
    return a == b or bool(np.allclose(a, b, rtol=0, atol=margin))


def _height(slices: Sequence[Slice]) -> tuple[float, ...]:
    """Return the middle of the slices' positions: z first, in whole mm."""
    points = [item.position for item in slices if item.position is not None]
    middle = np.array(points, float).sum(axis=0) / len(points) if points else np.full(3, np.inf)
    return tuple(float(v) for v in np.round(middle)[::-1])


def _volumes(part: Part, together: Collection[str]) -> list[Part]:
    """Split a stack by attributes, large gaps or time, until each part is one volume."""
    slices = part.slices
    if len(slices) < 2 or any(item.missing for item in slices):
        return [part]
    names = [name for name in (*DEFINING, *COUNTING)
             if name not in together and part.trait(name) is None]  # fmt: skip
    stack = stack_of(slices)
    split = _defined(slices, names) if stack.even else _completed(slices, names)
    if split:
        parts = [replace(part, slices=tuple(group)) for group in split]
        return [volume for each in parts for volume in _volumes(each, together)]
    in_time = [] if "phase" in together else passes(slices)
    if not in_time and not stack.even:
        in_time = phases(slices)
    if in_time:
        return [replace(part, slices=tuple(group), phase=at)
                for at, group in enumerate(in_time, start=1)]  # fmt: skip
    if stack.even:
        return [part]
    apart = [replace(part, slices=tuple(group), stack=part.stack + at / 1000)
             for at, group in enumerate(_apart(slices))]  # fmt: skip
    volumes = [volume for each in apart for volume in _volumes(each, together)]
    whole = all(len(v.slices) >= _FEWEST and even(v.slices) for v in volumes)
    return volumes if volumes and whole else [part]


def _defined(slices: Sequence[Slice], names: Sequence[str]) -> list[list[Slice]]:
    """Split an even stack by the first attribute whose values are complete stacks."""
    for name in names:
        groups = grouped(slices, (name,))
        if not all(even(group) for group in groups):
            continue
        if name not in COUNTING or (interleaved(groups) and thick(slices)):
            return groups
    return []


def _completed(slices: Sequence[Slice], names: Sequence[str]) -> list[list[Slice]]:
    """Split an uneven stack by the fewest attributes that make each part even.

    Where positions occur several times, a part may also have phases, or lack slices, as the last
    part of an interrupted dynamic series.
    """
    tests: list[Callable[[Sequence[Slice]], object]] = [even]
    if stack_of(slices).doubles.size:
        tests += [phases, distinct]
    for fits, names_of_split in itertools.product(tests, _choices(names)):
        groups = grouped(slices, names_of_split)
        scraps = [group for group in groups if _one_place(group)]
        if len(scraps) > _SCRAPS or len(scraps) == len(groups):
            continue
        counted = all(name in COUNTING for name in names_of_split)
        if counted and (scraps or not interleaved(groups)):
            continue
        stacks = [group for group in groups if group not in scraps]
        if all(map(fits, stacks)) and (fits is not distinct or any(map(even, stacks))):
            return groups
    return []


def _one_place(slices: Sequence[Slice]) -> bool:
    """Check for a single image, or repeated images of one place."""
    return len({item.position for item in slices}) == 1


def _choices(names: Sequence[str]) -> list[tuple[str, ...]]:
    return [several for size in (1, 2, 3) for several in itertools.combinations(names, size)]


def _apart(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Split at large gaps, as between stacks of one orientation, such as one per disc."""
    stack = stack_of(slices)
    gaps = stack.gaps
    usual = float(np.median(gaps[gaps >= GAP_MM])) if (gaps >= GAP_MM).any() else np.inf
    cuts = np.flatnonzero(gaps > _APART * usual) + 1
    groups = [list(group) for group in np.split(np.array(stack.slices, dtype=object), cuts)]
    return groups if len(groups) > 1 else []
