"""Label maps of other tools: their values are replaced by the reference's before they are scored."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataset_conversion.labels import folded, spans
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.cases import LabelMap, listed
from nnunet_plugins.evaluation.labels import Labels, read_labels
from nnunet_plugins.evaluation.numberings import SOURCES, match, read_numbering
from nnunet_plugins.evaluation.overlap import encode

StrPath = str | os.PathLike[str]
#: As users pass it: names of tools, files, texts like "25=sacrum", or value -> label.
Given = StrPath | Sequence[StrPath] | Mapping[int, str | int]
HINT = (
    "if the predictions are of another tool, pass --map with its name "
    f"({', '.join(SOURCES)}) or VALUE=LABEL pairs"
)


@dataclass(frozen=True)
class ValueMap:
    """Replaces values of label maps.

    Attributes:
        values: prediction's value -> reference's value; all others become background.
        dropped: the reference's values that become background, as no prediction can have them.
    """

    values: Mapping[int, int]
    dropped: tuple[int, ...] = ()

    def predicted(self, label_map: LabelMap) -> LabelMap:
        """A prediction in the reference's values."""
        codes = encode(label_map.voxels, list(self.values))
        targets = np.array([*self.values.values(), 0])
        return replace(label_map, voxels=targets.astype(_type(targets))[codes])

    def true(self, label_map: LabelMap) -> LabelMap:
        """A reference without the labels that are left out."""
        if not self.dropped:
            return label_map
        gone = np.isin(label_map.voxels, self.dropped)
        return replace(label_map, voxels=np.where(gone, 0, label_map.voxels))


def plan_map(
    given: Given, labels: Labels, structures: Mapping[int, str] = MappingProxyType({})
) -> tuple[ValueMap, Labels, list[str]]:
    """Find the value of the reference for each value of the predictions.

    Args:
        given: names of tools, dataset.json files of tools, VALUE=LABEL, or several of them; pairs have priority.
        labels: of the reference.
        structures: value -> structure, for predictions with one file per structure: pairs are then NAME=LABEL.

    Returns:
        The map, the labels that it leaves, and notes.

    Raises:
        UserError: a tool, value or label is unknown, or no structure of a tool is a label.

    >>> labels = Labels({"sacrum": (1,), "left hip": (2,), "disc": (3,)}, None, "dataset.json")
    >>> found, kept, notes = plan_map(["totalsegmentator"], labels)
    >>> found.values, list(kept.values), notes[1]
    ({25: 1, 26: 1, 77: 2}, ['sacrum', 'left hip'], 'left out: nothing is mapped to disc')
    """
    names = match(structures, labels.values) | _named(given, labels, structures)
    if not names:
        held = listed([*structures.values()]) if structures else f"--map {_shown(given)}"
        raise UserError(
            f"{held}: none of its structures is a label of the reference; labels are "
            f"{listed(list(labels.values))}; pass --map {'NAME' if structures else 'VALUE'}=LABEL"
        )
    values = {value: _target(name, labels) for value, name in names.items()}
    reached, mapped = set(values.values()), set(names.values())
    kept = {
        name: found
        for name, found in labels.values.items()
        if name in mapped or reached.issuperset(found)
    }
    lost = [name for name in labels.values if name not in kept]
    scored = {value for found in kept.values() for value in found}
    dropped = sorted({v for name in lost for v in labels.values[name]} - scored)
    pairs = ", ".join(
        f"{structures.get(value, value)} = {name}" for value, name in sorted(names.items())
    )
    what = "files" if structures else "values"
    notes = [f"{what} of the predictions: {pairs}; all others count as background"]
    if lost:
        notes.append(f"left out: nothing is mapped to {listed(lost)}")
    return ValueMap(values, tuple(dropped)), replace(labels, values=kept), notes


def check_overlap(predicted: Iterable[int], true: Iterable[int]) -> None:
    """Check that label maps without a dataset.json have a value in common.

    Raises:
        UserError: both hold labels, but none of them is in both.
    """
    a, b = set(predicted) - {0}, set(true) - {0}
    if a and b and not a & b:
        raise UserError(
            f"evaluate: the predictions hold the values {spans(a)}, the references {spans(b)}: none is in both; "
            f"{HINT}; if no prediction is right, name the labels with -djfile DATASET.JSON"
        )


def _named(given: Given, labels: Labels, structures: Mapping[int, str]) -> dict[int, str]:
    """Prediction's value -> label."""
    if isinstance(given, Mapping):
        return {_value(value, structures): _label(name, labels) for value, name in given.items()}
    items = [given] if isinstance(given, str | os.PathLike) else list(given)
    found: dict[int, str] = {}
    pairs: dict[int, str] = {}
    for item in [os.fspath(one) for one in items]:
        text, equals, name = item.partition("=")
        if not equals:
            numbering = _numbering(item)
            found |= {} if structures else match(numbering, labels.values)
            continue
        value, label = _value(text, structures), _label(name, labels)
        if pairs.setdefault(value, label) != label:
            raise UserError(f"--map {item}: {text} is mapped to {pairs[value]!r} as well; keep one")
    return found | pairs


def _numbering(item: str) -> Mapping[int, str]:
    if item.lower() in SOURCES:
        return read_numbering(item.lower())
    path = Path(item)
    if path.suffix.lower() != ".json":
        raise UserError(
            f"--map {item}: expected VALUE=LABEL, a tool's dataset.json, or one of {', '.join(SOURCES)}"
        )
    theirs = read_labels(path, path.name)
    return {values[0]: name for name, values in theirs.values.items() if len(values) == 1}


def _value(text: Any, structures: Mapping[int, str]) -> int:
    if structures:
        found = [value for value, name in structures.items() if folded(name) == folded(str(text))]
        if not found:
            raise UserError(
                f"--map {text}=...: no file of this name in the predictions; there are "
                f"{listed([*structures.values()])}"
            )
        return found[0]
    try:
        value = int(text)
    except (TypeError, ValueError):
        value = -1
    if not 0 < value <= 65535:
        raise UserError(f"--map {text}=...: expected a value from 1 to 65535, e.g. 25=sacrum")
    return value


def _label(name: str | int, labels: Labels) -> str:
    """The label of a name, or of a value of the reference."""
    text = str(name).strip()
    for label in labels.values:
        if folded(label) == folded(text):
            return label
    for label, values in labels.values.items():
        if text.isdigit() and values == (int(text),):
            return label
    raise UserError(
        f"--map ...={text}: the reference has no such label; labels are {listed(list(labels.values))}"
    )


def _target(name: str, labels: Labels) -> int:
    """The value of a label; of a region, the one that belongs to the fewest labels."""

    def shared(value: int) -> int:
        return sum(value in values for values in labels.values.values())

    value = min(labels.values[name], key=shared)
    others = [
        other
        for other, values in labels.values.items()
        if value in values and not set(values).issuperset(labels.values[name])
    ]
    if others:
        raise UserError(f"--map: {name} consists of {listed(others)}; map values to these instead")
    return value


def _type(values: NDArray[Any]) -> Any:
    return np.min_scalar_type(int(values.max()))


def _shown(given: Given) -> str:
    return (
        str(given) if isinstance(given, str | os.PathLike | Mapping) else " ".join(map(str, given))
    )
