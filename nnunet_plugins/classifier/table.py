"""The table of cases: patient, diagnosis and split, from a CSV file. Patients are numbered, never named."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset_conversion.errors import some
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.patients import numbered

#: What a table may call a split -> its name.
SPLITS = {
    "train": "train", "training": "train", "tr": "train",
    "val": "validation", "validation": "validation", "tuning": "validation",
    "test": "test", "internal": "test", "internal test": "test",
    "external": "external", "external test": "external",
}  # fmt: skip
EXAMPLE = "case,patient,label,split"
_ID_LIKE = 0.5  # share of different values from which a column is more likely an id than a label


@dataclass(frozen=True)
class Row:
    """One case of the table.

    Attributes:
        case: name of the image in the dataset, without channel and ending.
        patient: number of the patient.
        label: 1 for the positive class.
        split: a value of `SPLITS`, or '' if the table has no splits.
        fold: of a cross-validation; None if the table has no folds.
    """

    case: str
    patient: int
    label: int
    split: str = ""
    fold: int | None = None


@dataclass(frozen=True)
class Table:
    """All rows, and the names of the classes, negative first."""

    rows: tuple[Row, ...]
    classes: tuple[str, str]


def read_table(path: Path, *, label: str = "label", positive: str | None = None) -> Table:
    """Read cases, patients, labels, and splits or folds if there are columns for them.

    Columns: `case` (default: the patient is the case), `patient`, the label, and optionally `split` or `fold`.

    Args:
        path: CSV in UTF-8; commas, semicolons or tabs.
        label: name of the column with the diagnosis.
        positive: the value of the positive class; default: 1 of the values 0 and 1.

    Raises:
        UserError: a column is missing, a cell is empty, a case has two rows, a patient two diagnoses or two splits,
            or the labels are not two classes.
    """
    lines = _lines(path)
    for name in ("patient", label):
        if name not in lines[0]:
            raise UserError(
                f"{path}: no column {name!r}; found {', '.join(lines[0])}; expected e.g. {EXAMPLE}"
                + (" (--label-column NAME)" if name == label else "")
            )
    if label in ("patient", "case"):
        raise UserError(f"--label-column {label}: this column names the cases; pass another one")
    optional = [name for name in ("case", "split", "fold") if name in lines[0]]
    for number, line in enumerate(lines, 2):
        empty = [name for name in ("patient", label, *optional) if not line[name]]
        if empty:
            raise UserError(
                f"{path}: row {number}: {' and '.join(empty)} empty; complete or remove it"
            )
    if {"split", "fold"} <= set(optional):
        raise UserError(f"{path}: has both split and fold; remove one of the two columns")
    classes = _classes(path, label, lines, positive)
    cases = [line["case"] if "case" in optional else line["patient"] for line in lines]
    twice = [case for case, times in Counter(cases).items() if times > 1]
    if twice:
        raise UserError(f"{path}: {some(twice)}: more than one row; a case has one")
    patients = numbered({case: line["patient"] for case, line in zip(cases, lines, strict=True)})
    rows = tuple(
        Row(case, patients[case], classes.index(line[label]), _split(path, line), _fold(path, line))
        for case, line in zip(cases, lines, strict=True)
    )
    _check_patients(path, rows)
    return Table(rows, classes)


def check_recorded(rows: Sequence[Row], recorded: Mapping[str, int]) -> None:
    """Check the patients against those that the conversion of the dataset recorded.

    Args:
        rows: with their splits.
        recorded: case -> number of the patient, from conversion.json; cases may be missing.

    Raises:
        UserError: cases of one recorded patient are on two sides.
    """
    first: dict[int, Row] = {}
    for row in rows:
        if row.case not in recorded:
            continue
        other = first.setdefault(recorded[row.case], row)
        if other.split != row.split:
            raise UserError(
                f"{row.case} ({row.split}) and {other.case} ({other.split}) are of one patient by the dataset's "
                "conversion.json; give them one patient, and one split, in the table"
            )


def _lines(path: Path) -> list[dict[str, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: cannot be read ({error}); save the table as CSV in UTF-8"
        ) from error
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    found = [
        {(key or "").strip().lower(): (value or "").strip() for key, value in line.items() if key}
        for line in csv.DictReader(io.StringIO(text), delimiter=delimiter)
    ]
    found = [line for line in found if any(line.values())]
    if not found:
        raise UserError(f"{path}: no row below the heading; expected e.g. {EXAMPLE}")
    return found


def _classes(
    path: Path, label: str, lines: Sequence[Mapping[str, str]], positive: str | None
) -> tuple[str, str]:
    values = sorted({line[label] for line in lines})
    what = f"{path}: column {label!r}"
    if len(values) > 2:
        id_like = len(values) >= _ID_LIKE * len({line["patient"] for line in lines})
        raise UserError(
            f"{what} has {len(values)} different values in {len(lines)} rows"
            + ("; is it an id?" if id_like else f": {some(values)};")
            + " Two classes are required; pass --label-column NAME"
        )
    if len(values) < 2:
        raise UserError(f"{what} has one class only ({values[0]}); two are required")
    if positive is None and values == ["0", "1"]:
        positive = "1"
    if positive not in values:
        given = "" if positive is None else f"--positive {positive}: "
        raise UserError(
            f"{given}{what} has the values {' and '.join(values)}; pass --positive {values[0]} or "
            f"--positive {values[1]}"
        )
    negative = values[0] if positive == values[1] else values[1]
    return negative, positive


def _split(path: Path, line: Mapping[str, str]) -> str:
    if "split" not in line:
        return ""
    found = SPLITS.get(line["split"].lower().replace("_", " "))
    if found is None:
        allowed = ", ".join(dict.fromkeys(SPLITS.values()))
        raise UserError(f"{path}: split {line['split']!r}: allowed are {allowed}")
    return found


def _fold(path: Path, line: Mapping[str, str]) -> int | None:
    if "fold" not in line:
        return None
    if not line["fold"].isdecimal():
        raise UserError(f"{path}: fold {line['fold']!r}: a whole number from 0 is required")
    return int(line["fold"])


def _check_patients(path: Path, rows: Sequence[Row]) -> None:
    """No patient has two diagnoses or is on two sides; the messages name cases, not patients."""
    first: dict[int, Row] = {}
    for row in rows:
        other = first.setdefault(row.patient, row)
        if other.label != row.label:
            raise UserError(
                f"{path}: {other.case} and {row.case} are of one patient and have different labels; one diagnosis "
                "per patient is required"
            )
        if (other.split, other.fold) != (row.split, row.fold):
            raise UserError(
                f"{path}: {other.case} and {row.case} are of one patient and in different "
                f"{'folds' if row.fold is not None else 'splits'}; put all cases of a patient on one side"
            )
