"""Tolerances of the normalised surface Dice: one, or one per structure."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dataset_conversion.labels import folded
from nnunet_plugins.csv_cells import number, table
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.cases import listed
from nnunet_plugins.evaluation.definitions import TOLERANCE

StrPath = str | os.PathLike[str]
#: As users pass them: a number, a mapping, a file, or texts like "1" and "sacrum=2".
Given = float | str | os.PathLike[str] | Mapping[str, float] | Sequence[float | str]
DEFAULT = "default"


@dataclass(frozen=True)
class Tolerances:
    """Tolerances in mm.

    Attributes:
        default: of the labels that are not in ``labels``.
        labels: name -> its tolerance.

    >>> tolerances = Tolerances(1.0, {"sacrum": 2.0})
    >>> tolerances.of("sacrum"), tolerances.of("L5")
    (2.0, 1.0)
    >>> tolerances.text()
    '1 mm (sacrum 2 mm)'
    """

    default: float = TOLERANCE
    labels: Mapping[str, float] = field(default_factory=dict)

    def of(self, label: str) -> float:
        """The tolerance of a label."""
        return self.labels.get(label, self.default)

    def text(self, unit: str = "mm") -> str:
        """The tolerances for a reader."""
        others = ", ".join(f"{name} {value:g} {unit}" for name, value in self.labels.items())
        return f"{self.default:g} {unit}" + (f" ({others})" if others else "")

    def named(self, names: Iterable[str]) -> Tolerances:
        """The same with the labels' own spelling.

        Raises:
            UserError: a tolerance is for a label that does not exist.
        """
        known = {folded(name): name for name in names}
        unknown = [name for name in self.labels if folded(name) not in known]
        if unknown:
            raise UserError(
                f"--tolerance {unknown[0]}={self.labels[unknown[0]]:g}: no label of this name; "
                f"labels are {listed(list(known.values()))}"
            )
        return Tolerances(
            self.default, {known[folded(name)]: mm for name, mm in self.labels.items()}
        )


def read_tolerances(given: Given) -> Tolerances:
    """Read tolerances: a number, LABEL=MM, a file, or several of them; later ones have priority.

    A file is JSON, {"sacrum": 2, "default": 1}, or CSV with the columns label and mm.

    Raises:
        UserError: a tolerance is not a number of 0 or more, or a file cannot be read.

    >>> read_tolerances(["1", "sacrum=2"])
    Tolerances(default=1.0, labels={'sacrum': 2.0})
    """
    if isinstance(given, Mapping):
        return _tolerances(given.items())
    items = [given] if isinstance(given, int | float | str | os.PathLike) else list(given)
    return _tolerances(pair for item in items for pair in _pairs(item))


def _tolerances(pairs: Iterable[tuple[str, Any]]) -> Tolerances:
    found: dict[str, float] = {}
    for name, value in pairs:
        found[name] = _number(value, name)
    default = found.pop(DEFAULT, TOLERANCE)
    return Tolerances(default, found)


def _pairs(item: float | StrPath) -> Iterable[tuple[str, Any]]:
    if isinstance(item, int | float):
        return [(DEFAULT, item)]
    text = os.fspath(item)
    path = Path(text)
    if path.suffix.lower() in (".json", ".csv"):
        return _of_file(path)
    name, equals, value = text.rpartition("=")
    if equals and not name.strip():
        raise UserError(f"--tolerance {text}: a label is required before =, e.g. sacrum=2")
    return [(name.strip() or DEFAULT, value)]


def _of_file(path: Path) -> list[tuple[str, Any]]:
    allowed = 'allowed: JSON like {"sacrum": 2, "default": 1}, or CSV with the columns label and mm'
    if path.suffix.lower() == ".csv":
        return _of_csv(path, allowed)
    try:
        return list(dict(json.loads(path.read_text(encoding="utf-8-sig"))).items())
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"--tolerance {path}: cannot be read ({error!r}); {allowed}") from error


def _of_csv(path: Path, allowed: str) -> list[tuple[str, Any]]:
    found: dict[str, Any] = {}
    for row in table(path, "file of --tolerance", allowed, ("label", "mm")):
        label, mm = row["label"].text, row["mm"].text
        if label in found:
            raise UserError(f"--tolerance {path}: {label} has two rows; keep one of them")
        value = number(mm)
        found[label] = mm if value is None else value
    return list(found.items())


def _number(value: Any, name: str) -> float:
    shown = value if name == DEFAULT else f"{name}={value}"
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number >= 0):
        raise UserError(
            f"--tolerance {shown}: a distance in mm of 0 or more is required, e.g. --tolerance 1 --tolerance sacrum=2"
        )
    return number
