"""The body axes along which the slices of a dataset's cases run, and what nnU-Net makes of them.

nnU-Net plans one grid for all cases: for each axis of the stored array the median spacing. If slices of
3.3 mm run front to back in some cases and head to feet in others, no axis keeps 3.3 mm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from dataset_conversion.io.orientation import (
    SLICES_FIRST,
    left_right_axes,
    slice_axis,
    slice_plane,
    stored_code,
)

__all__ = ["grid_notes", "in_plane", "slice_axis", "slice_directions"]

APART = 5.0  # times the finest in-plane spacing from which the coarsest is reported

#: Spacing (x, y, z in mm) and orientation (ITK's code) of a case.
Grid = tuple[Sequence[float], str]


def grid_notes(grids: Sequence[Grid], *, slices_first: bool, sided: bool) -> list[str]:
    """Return notes on the slices and in-plane spacings of a dataset's sources.

    `slices_first`: each volume is stored with its slice axis first. `sided`: some labels have a side.
    """
    directions = _directions(grids, slices_first=slices_first, sided=sided)
    return [note for note in (directions, in_plane(grids)) if note]


def slice_directions(planes: Iterable[str]) -> str:
    """Return the number of cases of each plane as text; empty if all slices run along one axis.

    >>> slice_directions(["coronal", "axial", "coronal", ""])
    'coronal in 2 cases, axial in 1, no slice axis in 1'
    >>> slice_directions(["coronal", "coronal", ""])
    ''

    `planes` are the results of `slice_axis`.
    """
    counts = Counter(planes)
    without = counts.pop("", 0)
    if len(counts) < 2:
        return ""
    named = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    named += [("no slice axis", without)] if without else []
    (first, count), *rest = named
    start = f"{first} in {count} {'case' if count == 1 else 'cases'}"
    return ", ".join([start, *(f"{name} in {n}" for name, n in rest)])


def _directions(grids: Sequence[Grid], *, slices_first: bool, sided: bool) -> str:
    text = slice_directions(slice_plane(spacing, code) for spacing, code in grids)
    if not text:
        return ""
    start = f"slices run along different body axes ({text})"
    if not slices_first:
        return (
            f"{start}: nnU-Net plans one grid for all of them, on which no axis is across the slices; convert "
            "with --slices-first, or convert each direction as a dataset of its own"
        )
    axes = left_right_axes(stored_code(spacing, code, SLICES_FIRST) for spacing, code in grids)
    mirrored = (
        f"; left-right is axis {' or '.join(map(str, axes))} of the array, so none of them is mirrored in training"
        if sided and len(axes) > 1
        else ""
    )
    return f"{start}: each volume is stored with its slice axis first{mirrored}"


def in_plane(grids: Sequence[Grid]) -> str:
    """Describe in-plane spacings that differ fivefold: the mean of each case's two shorter ones."""
    found = sorted(sum(sorted(spacing)[:2]) / 2 for spacing, _ in grids)
    if not found or found[-1] < APART * found[0]:
        return ""
    middle = (found[0] * found[-1]) ** 0.5
    fine = sum(mm < middle for mm in found)
    return (
        f"in-plane spacing differs {found[-1] / found[0]:.0f} times between cases: {found[0]:.3g} mm or more in "
        f"{fine} cases, up to {found[-1]:.3g} mm in {len(found) - fine}; nnU-Net resamples all of them to one "
        "grid: check the units of the headers, or leave the scouts or other series out"
    )
