"""Label names, regions, values to drop, and the remap to 0, 1, 2, ..."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dataset_conversion.errors import DatasetError, short
from dataset_conversion.json_text import parse_json
from dataset_conversion.side_words import has_side

BACKGROUND, IGNORE = "background", "ignore"

#: Labels and regions in a file; more are those of another kind of file.
MOST_LABELS = 1000

Value = int | tuple[int, ...]
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Labels:
    """Label names with their values in the source masks.

    Attributes:
        names: name -> value, or values of a region; background is 0.
        regions_class_order: source values, required by nnU-Net with regions.
        drop: source values that become background, as requested by the user.
        merge: source value -> listed source value that replaces it.
        remap: source value -> nnU-Net's value.

    >>> labels = Labels({"sacrum": 10, "left ilium": 20}, drop=(60,))
    >>> labels.remap
    {0: 0, 10: 1, 20: 2}
    >>> labels.renumber(np.array([[0, 20, 60]]), "case 1").tolist()
    [[0, 2, 0]]
    """

    names: Mapping[str, Value]
    regions_class_order: tuple[int, ...] = ()
    drop: tuple[int, ...] = ()
    merge: Mapping[int, int] = field(default_factory=dict)
    remap: Mapping[int, int] = field(init=False)

    def __post_init__(self) -> None:
        """Check the labels and derive the remap from source values to consecutive ones."""
        names: dict[str, Value] = {BACKGROUND: 0, **self.names}
        object.__setattr__(self, "names", names)
        _check(names, self.regions_class_order, self.drop)
        ignore = names.get(IGNORE)
        values = sorted({v for value in names.values() for v in values_of(value)} - {0, ignore})
        remap = {0: 0, **{value: place for place, value in enumerate(values, 1)}}
        if isinstance(ignore, int):
            remap[ignore] = len(values) + 1  # nnU-Net requires it to be the highest
        _check_merge(self.merge, remap, self.drop)
        remap.update({old: remap[new] for old, new in self.merge.items()})
        object.__setattr__(self, "remap", remap)

    @property
    def ignore(self) -> int | None:
        """The source value that is ignored in training, if any."""
        value = self.names.get(IGNORE)
        return value if isinstance(value, int) else None

    def notes(self) -> list[str]:
        """Return notes on the values that are renumbered or dropped."""
        sources: dict[int, list[int]] = {}
        for old, new in self.remap.items():
            sources.setdefault(new, []).append(old)
        moved = [f"{spans(old)} -> {new}" for new, old in sources.items() if old != [new]]
        notes = [f"label values renumbered without gaps: {', '.join(moved)}"] if moved else []
        if self.drop:
            notes.append(f"label values sent to background: {spans(self.drop)}")
        return notes

    def unknown(self, values: Sequence[int]) -> list[int]:
        """Return the values that are neither listed nor dropped."""
        return sorted(set(values) - set(self.remap) - set(self.drop))

    def check(self, values: Sequence[int], who: str) -> None:
        """Raise for values that are not listed: they are an error, never background."""
        unknown = self.unknown(values)
        if unknown:
            raise DatasetError(
                f"{who}: label values {unknown} are not listed (known: {spans(self.remap)}); add them to the "
                f"labels file, or pass --drop {' '.join(map(str, unknown))} to send them to background"
            )

    def renumber(self, array: np.ndarray, who: str) -> np.ndarray:
        """Map source values (any shape) to nnU-Net's values, uint8 or uint16."""
        return self.renumbered(array, histogram(array), who)[0]

    def renumbered(self, array: np.ndarray, counts: Mapping[int, int],
                   who: str) -> tuple[np.ndarray, dict[int, int]]:  # fmt: skip
        """Map source values to nnU-Net's; return the array and nnU-Net's value -> voxels.

        The array has any shape; `counts` is its `histogram`.
        """
        self.check(list(counts), who)
        highest = max(self.remap.values())
        table = np.zeros(max(counts, default=0) + 1, np.uint8 if highest < 256 else np.uint16)
        voxels = dict.fromkeys(sorted(self.remap.values()), 0)
        for value, count in counts.items():
            table[value] = self.remap.get(value, 0)
            voxels[int(table[value])] += count
        if (table == np.arange(table.size)).all():
            return array.astype(table.dtype), voxels
        return table[array], voxels

    def for_nnunet(self) -> dict[str, Any]:
        """Return dataset.json's `labels`, with regions also `regions_class_order`."""

        def new(value: Value) -> Any:
            return self.remap[value] if isinstance(value, int) else [self.remap[v] for v in value]

        entry: dict[str, Any] = {"labels": {name: new(v) for name, v in self.names.items()}}
        if self.regions_class_order:
            entry["regions_class_order"] = [self.remap[v] for v in self.regions_class_order]
        return entry

    def written(self) -> dict[str, tuple[int, ...]]:
        """Return name -> nnU-Net's values of a label or region.

        >>> Labels({"sacrum": 10, "bones": (10, 20)}, regions_class_order=(10, 20)).written()["bones"]
        (1, 2)
        """
        return {name: tuple(dict.fromkeys(self.remap[v] for v in values_of(value)))
                for name, value in self.names.items()}  # fmt: skip

    def sided(self) -> list[str]:
        """Return names that contain a side of the body; mirroring would swap them."""
        return [name for name in self.names if has_side(name)]


def folded(name: str) -> str:
    """Return a label name for comparison: without case, with one space for spaces and underscores.

    >>> folded(" Hip_LEFT ") == folded("hip left"), folded("hip-left") == folded("hip left")
    (True, False)
    """
    return " ".join(unicodedata.normalize("NFC", name).casefold().replace("_", " ").split())


def histogram(array: np.ndarray) -> dict[int, int]:
    """Return value -> count of an array of integers from 0 to 65535.

    >>> histogram(np.array([0, 3, 3], np.uint8))
    {0: 1, 3: 2}
    """
    total = np.zeros(65536, np.int64)
    flat = array.reshape(-1) if array.flags.c_contiguous else array.ravel()
    for start in range(0, flat.size, _BLOCK):  # bincount takes eight bytes per voxel
        block = flat[start : start + _BLOCK]
        held = block[block != 0]  # few, as most of a label map is background
        total[0] += block.size - held.size
        found = np.bincount(held)
        total[: found.size] += found
    return {int(value): int(total[value]) for value in np.flatnonzero(total)}


def spans(values: Iterable[int]) -> str:
    """Return integers as ranges.

    >>> spans([100, 0, 3, 1, 2])
    '0-3, 100'
    """
    runs: list[list[int]] = []
    for value in sorted(set(values)):
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    parts = []
    for low, high in runs:
        parts += [f"{low}-{high}"] if high > low + 1 else [str(v) for v in range(low, high + 1)]
    return ", ".join(parts)


def read_labels(path: Path, drop: Sequence[int] = ()) -> Labels:
    """Read a labels file: dataset.json, or only the object under its key `labels`.

    Raises:
        DatasetError: not readable, not JSON, a name given twice, or invalid labels.
    """
    try:
        content = parse_json(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_once)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise DatasetError(f"{path}: cannot be read as labels ({why})") from error
    if not isinstance(content, dict):
        raise DatasetError(f'{path}: expected a JSON object such as {{"sacrum": 1}}')
    nested = isinstance(content.get("labels"), dict)
    names = content["labels"] if nested else content
    order = content.get("regions_class_order", []) if nested else []
    try:
        values = label_values(names)
        if not isinstance(order, list):
            raise DatasetError(f"regions_class_order is {order!r}; expected a list of values")
        ordered = tuple(v for item in order for v in values_of(_value("regions_class_order", item)))
        return Labels(values, ordered, tuple(drop))
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from error


def label_values(names: Mapping[Any, Any]) -> dict[str, Value]:
    """Return the values of labels and regions as read from JSON.

    Raises:
        DatasetError: a value is not an integer from 0 to 65535, or for a region a list of them; or there are more
            labels than `MOST_LABELS`.
    """
    if len(names) > MOST_LABELS:
        raise DatasetError(f"{len(names)} labels; allowed are at most {MOST_LABELS}")
    return {str(name): _value(name, value) for name, value in names.items()}


def region_order(labels: Mapping[str, Any]) -> list[str]:
    """Return the names in dataset.json's order, if there are regions: that of a network's outputs.

    Without regions the outputs are in the order of the values, and the list is empty.

    >>> region_order({"background": 0, "spine": [1, 2], "disc": 2}), region_order({"background": 0, "disc": 1})
    (['spine', 'disc'], [])
    """
    if not any(isinstance(value, list | tuple) and len(value) > 1 for value in labels.values()):
        return []
    return [name for name in labels if name not in (BACKGROUND, IGNORE)]


def template(values: Sequence[int]) -> str:
    """Return the text of a labels file to fill in, for values found in masks."""
    entries: dict[str, int] = {BACKGROUND: 0}
    entries.update({f"name of {value}": int(value) for value in values if value != 0})
    return json.dumps(entries, indent=2)


def values_of(value: Value) -> tuple[int, ...]:
    """Return the values of a label (one) or region (several)."""
    return (value,) if isinstance(value, int) else tuple(value)


def _value(name: object, value: object) -> Value:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 65535:
        return value
    if isinstance(value, list) and value and name != "regions_class_order":
        return tuple(v for item in value for v in values_of(_value("regions_class_order", item)))
    raise DatasetError(
        f"{short(name)} has the value {short(value)}; expected an integer from 0 to 65535, or for a region a "
        "list of them"
    )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    twice = sorted(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
    if twice:
        raise ValueError(f"names {twice} are given more than once")
    return dict(pairs)


def _check(names: Mapping[str, Value], order: Sequence[int], drop: Sequence[int]) -> None:
    if names[BACKGROUND] != 0:
        raise DatasetError(f"background has the value {names[BACKGROUND]}; it must be 0")
    same = [folded(name) for name in names]
    twice = sorted(name for name in names if same.count(folded(name)) > 1)
    if twice or "" in same:
        raise DatasetError(
            "label names must be unique (without case, spaces and underscores alike) and not blank: "
            f"{twice or ['']}"
        )
    regions = {name: v for name, v in names.items() if not isinstance(v, int)}
    single = {name: v for name, v in names.items() if isinstance(v, int)}
    if IGNORE in regions:
        raise DatasetError("ignore cannot be a region; give it one value")
    same = sorted(n for n, v in single.items() if list(single.values()).count(v) > 1)
    if same:
        raise DatasetError(f"{same} have the same value; each label needs a different one")
    if any(0 in values_of(v) for name, v in names.items() if name != BACKGROUND):
        raise DatasetError("value 0 is background; no other label or region may have it")
    if len(names) == 1:
        raise DatasetError("only background is listed")
    _check_regions(names, regions, order)
    both = sorted(set(drop) & {v for value in names.values() for v in values_of(value)})
    if both:
        raise DatasetError(f"values {both} are listed as labels and dropped; choose one")


def _check_merge(merge: Mapping[int, int], remap: Mapping[int, int], drop: Sequence[int]) -> None:
    nowhere = sorted(set(merge.values()) - set(remap))
    if nowhere:
        raise DatasetError(f"values {nowhere} are merged into, but not listed as labels")
    both = sorted(set(merge) & (set(remap) | set(drop)))
    if both:
        raise DatasetError(f"values {both} are merged, and also listed or dropped; choose one")


def _check_regions(names: Mapping[str, Value], regions: Mapping[str, Value],
                   order: Sequence[int]) -> None:  # fmt: skip
    targets = [name for name in names if name not in (BACKGROUND, IGNORE)]
    if not regions and not order:
        return
    if not regions:
        raise DatasetError("regions_class_order is given, but no label is a region (a list)")
    known = {v for name in targets for v in values_of(names[name])}
    if len(order) != len(targets) or not set(order) <= known:
        raise DatasetError(
            f"regions_class_order is {list(order)}; nnU-Net needs one listed value for each of "
            f"{targets}, in their order"
        )
    ignore = names.get(IGNORE)
    if isinstance(ignore, int) and ignore in known:
        raise DatasetError(f"ignore has the value {ignore}, which is also in a region")
