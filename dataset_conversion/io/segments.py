"""Merge named structures into one label map; overlaps are resolved only on request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.label_names import Renames, label_of, listed, targets, unlisted
from dataset_conversion.labels import BACKGROUND, Labels, folded

FIRST, LAST = "first", "last"
_MOST = 3  # pairs of overlapping structures in a message


@dataclass(frozen=True)
class Reading:
    """The user's labels and choices on how masks become label maps.

    Attributes:
        labels: names and values to use; None takes all structures.
        renames: see `label_names.read_renames`.
        overlaps: which label keeps a voxel of two structures: the `first` or `last` in the labels;
            None raises an error.
        volumes: labels of the volumes of a 4D mask, in their order.
        outside: value of a masked image outside its structure; None accepts label maps only.
        ignore_header: a mask without orientation that has its image's size takes the image's grid.
    """

    labels: Labels | None = None
    renames: Renames = field(default_factory=dict)
    overlaps: str | None = None
    volumes: tuple[str, ...] = ()
    outside: float | None = None
    ignore_header: bool = False

    def lists(self, name: str) -> bool:
        """Return whether a structure is one of the labels; without labels, each is."""
        label = folded(label_of(name, self.renames))
        if label == BACKGROUND:
            return False
        return self.labels is None or label in targets(self.labels)

    def drops(self, name: str) -> bool:
        """Return whether the user removes a structure."""
        return folded(label_of(name, self.renames)) == BACKGROUND

    def choices(self) -> dict[str, Any]:
        """Return the user's choices that change a result, as JSON; empty if there are none."""
        found: dict[str, Any] = {
            "renames": sorted(self.renames.items()),
            "overlaps": self.overlaps,
            "volumes": list(self.volumes),
            "outside": self.outside,
        }
        made = {name: value for name, value in found.items() if value not in (None, [])}
        if self.overlaps and self.labels is not None:
            made["order"] = list(self.labels.names)
        return made

    def order(self, names: Sequence[str]) -> list[str]:
        """Return names in the order of the labels; without labels, as they are."""
        if self.labels is None:
            return list(names)
        known = list(targets(self.labels))
        return sorted(names, key=lambda name: known.index(folded(label_of(name, self.renames))))


PLAIN = Reading()


class Merged(NamedTuple):
    """A label map (z, y, x), the value of each structure, and notes."""

    array: np.ndarray
    values: dict[str, int]
    notes: tuple[str, ...]


def merge(shape: tuple[int, ...], voxels: Mapping[str, Callable[[], np.ndarray]],
          values: Mapping[str, int], how: Reading, who: str) -> Merged:  # fmt: skip
    """Merge structures into one label map.

    >>> left, right = np.array([[[1, 1, 0]]], bool), np.array([[[0, 1, 1]]], bool)
    >>> voxels = {"a": lambda: left, "b": lambda: right}
    >>> merge((1, 1, 3), voxels, {"a": 1, "b": 2}, Reading(overlaps="last"), "p").array.tolist()
    [[[1, 2, 2]]]

    Args:
        shape: (z, y, x).
        voxels: name -> function that returns the structure's voxels (z, y, x) as booleans; called
            one after the other, for memory.
        values: name -> value in the result.
        how: the labels, and what happens to overlaps.
        who: the source, for messages.

    Raises:
        DatasetError: structures overlap and no order is given, or one with voxels is not a label.
    """
    _check_listed(voxels, values, how, who)
    array = np.zeros(shape, np.uint8 if max(values.values(), default=0) < 256 else np.uint16)
    names = {value: name for name, value in values.items()}
    found: dict[tuple[str, str], int] = {}
    for name in how.order([name for name in voxels if how.lists(name)]):
        here = voxels[name]()
        for value, count in _counts(array[here]):
            if not _same(name, names[value], how):
                found[(names[value], name)] = count
        array[here & (array == 0) if how.overlaps == FIRST else here] = values[name]
    notes = _report(found, how, who)
    return Merged(array, {n: v for n, v in values.items() if n in voxels}, notes)


def _check_listed(voxels: Mapping[str, Callable[[], np.ndarray]], values: Mapping[str, int],
                  how: Reading, who: str) -> None:  # fmt: skip
    if how.labels is None:
        return
    other = [name for name in voxels if not (how.lists(name) or how.drops(name))]
    other = [name for name in other if values[name] not in how.labels.drop]
    unknown = [name for name in other if voxels[name]().any()]
    if unknown:
        raise DatasetError(unlisted(unknown, voxels, how.labels, who))


def _counts(taken: np.ndarray) -> list[tuple[int, int]]:
    values, counts = np.unique(taken[taken > 0], return_counts=True)
    return [(int(value), int(count)) for value, count in zip(values, counts, strict=True)]


def _same(one: str, other: str, how: Reading) -> bool:
    return folded(label_of(one, how.renames)) == folded(label_of(other, how.renames))


def _report(found: Mapping[tuple[str, str], int], how: Reading, who: str) -> tuple[str, ...]:
    """Raise for overlaps without an order; return notes on the others."""
    if not found:
        return ()
    pairs = [f"{a!r} and {b!r} overlap in {n} voxels" for (a, b), n in list(found.items())[:_MOST]]
    more = f", and {len(found) - _MOST} more pairs" if len(found) > _MOST else ""
    if how.overlaps is None:
        raise DatasetError(
            f"{who}: {'; '.join(pairs)}{more}; correct the structures, or pass --overlaps {FIRST} or "
            f"--overlaps {LAST}: the label that comes first or last in the labels keeps the voxels"
        )
    # Labels, as notes are written and the name of a segment may be that of a person.
    names = listed(sorted({label_of(name, how.renames) for pair in found for name in pair}))
    return (f"structures overlap ({names}): the {how.overlaps} label of each voxel is kept",)
