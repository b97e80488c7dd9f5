"""What label values mean: names, regions, values to drop, and the remap to 0, 1, 2, ..."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dataset_conversion.errors import DatasetError

BACKGROUND, IGNORE = "background", "ignore"

Value = int | tuple[int, ...]
_BLOCK = 1 << 20

# Words for a side in the languages of hospital label lists. Which side is which is never guessed.
_SIDE_WORDS = frozenset(
    [
        *("left", "right", "l", "r", "lt", "rt"),
        *("sin", "dex", "sinister", "dexter", "sinistra", "dextra"),
        *("li", "re", "links", "rechts", "linke", "rechte", "linker", "rechter", "linkes"),
        *("rechtes", "gauche", "droite", "droit", "izquierda", "izquierdo", "derecha", "derecho"),
        *("sinistro", "destra", "destro", "sx", "dx"),
    ]
)


@dataclass(frozen=True)
class Labels:
    """Label names with the values that the source masks hold.

    Attributes:
        names: name -> value, or values of a region; background is 0.
        regions_class_order: source values, as nnU-Net wants them where there are regions.
        drop: source values that become background because the user said so.
        merge: source value -> listed source value that it is taken for.
    """

    names: Mapping[str, Value]
    regions_class_order: tuple[int, ...] = ()
    drop: tuple[int, ...] = ()
    merge: Mapping[int, int] = field(default_factory=dict)
    remap: Mapping[int, int] = field(init=False)

    def __post_init__(self) -> None:
        """Check the whole and work out the remap from source values to consecutive ones."""
        names: dict[str, Value] = {BACKGROUND: 0, **self.names}
        object.__setattr__(self, "names", names)
        _check(names, self.regions_class_order, self.drop)
        ignore = names.get(IGNORE)
        values = sorted({v for value in names.values() for v in _flat(value)} - {0, ignore})
        remap = {0: 0, **{value: place for place, value in enumerate(values, 1)}}
        if isinstance(ignore, int):
            remap[ignore] = len(values) + 1  # nnU-Net wants it above all others
        _check_merge(self.merge, remap, self.drop)
        remap.update({old: remap[new] for old, new in self.merge.items()})
        object.__setattr__(self, "remap", remap)

    @property
    def ignore(self) -> int | None:
        """The source value that is left out of training, if there is one."""
        value = self.names.get(IGNORE)
        return value if isinstance(value, int) else None

    def notes(self) -> list[str]:
        """Say which values were renumbered and which are dropped."""
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
        """Stop at a value that is not listed: it is an error, never background."""
        unknown = self.unknown(values)
        if unknown:
            cure = " ".join(map(str, unknown))
            raise DatasetError(
                f"{who}: label values {unknown} are not listed (known: {spans(self.remap)}); add them to the "
                f"labels file, or pass --drop {cure} to send them to background"
            )

    def renumber(self, array: np.ndarray, who: str) -> np.ndarray:
        """Map source values (any shape) to nnU-Net's values, uint8 or uint16."""
        return self.renumbered(array, histogram(array), who)[0]

    def renumbered(self, array: np.ndarray, counts: Mapping[int, int],
                   who: str) -> tuple[np.ndarray, dict[int, int]]:  # fmt: skip
        """Map source values to nnU-Net's, with how many voxels each of those then has.

        Args:
            array: source values, any shape.
            counts: what `histogram` found in it.
            who: the case, for messages.
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
        """Return dataset.json's `labels`, and `regions_class_order` where there are regions."""

        def new(value: Value) -> Any:
            return self.remap[value] if isinstance(value, int) else [self.remap[v] for v in value]

        entry: dict[str, Any] = {"labels": {name: new(v) for name, v in self.names.items()}}
        if self.regions_class_order:
            entry["regions_class_order"] = [self.remap[v] for v in self.regions_class_order]
        return entry

    def sided(self) -> list[str]:
        """Names that speak of a side of the body; mirroring would swap them."""
        return [name for name in self.names if has_side(name)]


def histogram(array: np.ndarray) -> dict[int, int]:
    """Return value -> voxels of an array of whole numbers from 0 to 65535."""
    total = np.zeros(65536, np.int64)
    flat = array.reshape(-1) if array.flags.c_contiguous else array.ravel()
    for start in range(0, flat.size, _BLOCK):  # bincount takes eight bytes a voxel
        block = flat[start : start + _BLOCK]
        held = block[block != 0]  # few: most of a label map is background
        total[0] += block.size - held.size
        found = np.bincount(held)
        total[: found.size] += found
    return {int(value): int(total[value]) for value in np.flatnonzero(total)}


def spans(values: Iterable[int]) -> str:
    """Write whole numbers shortly: 0, 1-25, 100."""
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


def has_side(name: str) -> bool:
    """Say whether a label's name has a word for left or right (`L5` has none).

    Splits at everything that is neither letter nor digit, and where camelCase changes.
    """
    if "左" in name or "右" in name:
        return True
    for part in re.findall(r"[^\W_]+", name):
        for word in re.sub(r"(?<=[a-z])(?=[A-Z])", " ", part).split():
            bare = word.lower()
            # 'left2' is a side; 'L5' and 'R1' are not.
            if bare in _SIDE_WORDS or (len(bare) > 3 and bare.rstrip("0123456789") in _SIDE_WORDS):
                return True
    return False


def read_labels(path: Path, drop: Sequence[int] = ()) -> Labels:
    """Read a labels file: dataset.json's `labels`, bare or beside `regions_class_order`.

    Raises:
        DatasetError: not readable, not JSON, a name twice, or labels that make no sense.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=_once)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise DatasetError(f"{path}: cannot be read as labels ({why})") from error
    if not isinstance(content, dict):
        raise DatasetError(f'{path}: a JSON object such as {{"sacrum": 1}} is needed')
    nested = isinstance(content.get("labels"), dict)
    names = content["labels"] if nested else content
    order = content.get("regions_class_order", []) if nested else []
    try:
        values = {str(name): _value(name, value) for name, value in names.items()}
        if not isinstance(order, list):
            raise DatasetError(f"regions_class_order is {order!r}; a list of values is needed")
        ordered = tuple(v for item in order for v in _flat(_value("regions_class_order", item)))
        return Labels(values, ordered, tuple(drop))
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from error


def template(values: Sequence[int]) -> str:
    """Return a labels file to fill in, for values found in masks."""
    entries: dict[str, int] = {BACKGROUND: 0}
    entries.update({f"name of {value}": int(value) for value in values if value != 0})
    return json.dumps(entries, indent=2)


def _flat(value: Value) -> tuple[int, ...]:
    return (value,) if isinstance(value, int) else tuple(value)


def _value(name: object, value: object) -> Value:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if whole and 0 <= value <= 65535:  # type: ignore[operator]
        return value  # type: ignore[return-value]
    if isinstance(value, list) and value and name != "regions_class_order":
        return tuple(v for item in value for v in _flat(_value("regions_class_order", item)))
    raise DatasetError(
        f"{name!r} has the value {value!r}; a whole number from 0 to 65535, or for a region a "
        "list of them, is needed"
    )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"names {twice} stand there twice")
    return dict(pairs)


def _check(names: Mapping[str, Value], order: Sequence[int], drop: Sequence[int]) -> None:
    if names[BACKGROUND] != 0:
        raise DatasetError(f"background has the value {names[BACKGROUND]}; it must be 0")
    folded = [name.strip().casefold() for name in names]
    twice = sorted(name for name in names if folded.count(name.strip().casefold()) > 1)
    if twice or "" in folded:
        raise DatasetError(f"label names must be given once and not be blank: {twice or ['']}")
    regions = {name: v for name, v in names.items() if not isinstance(v, int)}
    single = {name: v for name, v in names.items() if isinstance(v, int)}
    if IGNORE in regions:
        raise DatasetError("ignore cannot be a region; give it one value")
    same = sorted(n for n, v in single.items() if list(single.values()).count(v) > 1)
    if same:
        raise DatasetError(f"{same} have the same value; each label needs a value of its own")
    if any(0 in _flat(v) for name, v in names.items() if name != BACKGROUND):
        raise DatasetError("value 0 is background; no other label or region may hold it")
    if len(names) == 1:
        raise DatasetError("no label but background is listed")
    _check_regions(names, regions, order)
    both = sorted(set(drop) & {v for value in names.values() for v in _flat(value)})
    if both:
        raise DatasetError(f"values {both} are listed as labels and dropped; choose one")


def _check_merge(merge: Mapping[int, int], remap: Mapping[int, int], drop: Sequence[int]) -> None:
    nowhere = sorted(set(merge.values()) - set(remap))
    if nowhere:
        raise DatasetError(f"values {nowhere} are merged into, but not listed as labels")
    both = sorted(set(merge) & (set(remap) | set(drop)))
    if both:
        raise DatasetError(f"values {both} are merged, and listed or dropped as well; choose one")


def _check_regions(names: Mapping[str, Value], regions: Mapping[str, Value],
                   order: Sequence[int]) -> None:  # fmt: skip
    targets = [name for name in names if name not in (BACKGROUND, IGNORE)]
    if not regions and not order:
        return
    if not regions:
        raise DatasetError("regions_class_order is given, but no label is a region (a list)")
    known = {v for name in targets for v in _flat(names[name])}
    if len(order) != len(targets) or not set(order) <= known:
        raise DatasetError(
            f"regions_class_order is {list(order)}; nnU-Net needs one listed value for each of "
            f"{targets}, in their order"
        )
    ignore = names.get(IGNORE)
    if isinstance(ignore, int) and ignore in known:
        raise DatasetError(f"ignore has the value {ignore}, which a region holds too")
