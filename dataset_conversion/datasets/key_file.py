"""The key from case ids to patients: a CSV file kept outside the dataset, readable by its owner only."""

from __future__ import annotations

import csv
import io
import os
import re
import tempfile
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from dataset_conversion.cases.case import Case
from dataset_conversion.errors import DatasetError, disk_error, reading, some

COLUMNS = ("case", "source", "dataset")
_SHORT = COLUMNS[:2]  # of new images, and of an older version


def check_key(key: Path, target: Path) -> None:
    """Reject a place for the key that is unsafe, and a file that is not the key of this dataset.

    Raises:
        DatasetError: it is inside a dataset, its folder does not exist, or it is another file.
    """
    above = key.resolve().parents
    inside = [p for p in above if p == target.resolve() or re.match(r"\.?Dataset\d{3}_", p.name)]
    if inside:
        raise DatasetError(f"{key}: the key is inside the dataset {inside[0]}; keep it elsewhere")
    if key.is_dir():
        raise DatasetError(f"{key}: is a folder; pass a .csv file for the key")
    if not key.resolve().parent.is_dir():
        raise DatasetError(f"{key}: its folder does not exist; create it first")
    _rows(key, target.name)


def check_cases(key: Path, dataset: str, known: Collection[str]) -> None:
    """Reject a key with cases of neither the earlier nor this conversion: it belongs to another dataset."""
    foreign = sorted(set(_rows(key, dataset)) - set(known))
    if foreign:
        raise DatasetError(
            f"{key}: lists {some(foreign)}, which are not in {dataset}, and would be lost: is it the key of another "
            "dataset of this name? Pass a new file with --key"
        )


def sources_of(cases: Iterable[Case], written: Collection[str]) -> dict[str, str]:
    """Return the sources of the written cases, as absolute paths."""
    return {case.name: _absolute(case.where) for case in cases if case.name in written}


def _absolute(where: str) -> str:
    """Return a path as an absolute one; of several images, which are joined by "and", the first."""
    first = where if Path(where).exists() else where.split(" and ")[0]
    return os.path.abspath(first) if Path(first).exists() else where


def write_key(key: Path, sources: Mapping[str, str], dataset: str = "",
              cases: Collection[str] | None = None) -> None:  # fmt: skip
    """Write one row per case: its id, its source (a folder or a file), and the dataset; mode 0600.

    Args:
        key: the file.
        sources: case -> source.
        dataset: name of the dataset's folder; "" for new images, which belong to none.
        cases: ids of all cases; those without a source keep the row of the earlier key.

    Raises:
        DatasetError: the file is not the key of this dataset.
        DiskError: it cannot be written.
    """
    kept = {case: source for case, source in _rows(key, dataset).items() if case in (cases or ())}
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    columns = COLUMNS if dataset else _SHORT
    rows.writerow(columns)
    found = sorted({**kept, **sources}.items())
    rows.writerows((case, source, dataset)[: len(columns)] for case, source in found)
    key, temporary = key.resolve(), None
    try:
        handle, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=key.parent)  # mode 0600
        with os.fdopen(handle, "wb") as stream:
            stream.write(text.getvalue().encode("utf-8", "surrogateescape"))
        os.replace(temporary, key)
        temporary = None
    except OSError as error:
        raise disk_error(key, error) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)  # it holds names: leave none behind


def _rows(key: Path, dataset: str) -> dict[str, str]:
    """Return case -> source of an existing key; empty without a file."""
    if not os.path.lexists(key):
        return {}
    if not key.is_file():
        raise DatasetError(f"{key}: is not a regular file; pass a new .csv file with --key")
    with (
        reading(key),
        key.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream,
    ):
        text = stream.read(1 << 28)
    first = text.partition("\n")[0]
    # Some spreadsheets save semicolons.
    rows = _parsed(text, ";" if ";" in first else ",")
    if not rows or tuple(rows[0]) not in (COLUMNS, _SHORT) or any(
        len(row) != len(rows[0]) for row in rows
    ):  # fmt: skip
        raise DatasetError(
            f"{key}: exists and is not a key of convert, so it is not overwritten; pass a new .csv file with --key"
        )
    others = sorted({row[2] for row in rows[1:] if len(row) == len(COLUMNS)} - {dataset})
    if others:
        raise DatasetError(
            f"{key}: exists and is the key of {some(others)}, not of {dataset}; pass a new .csv file with --key"
        )
    return {row[0]: row[1] for row in rows[1:]}


def _parsed(text: str, delimiter: str) -> list[list[str]]:
    try:
        return [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row]
    except csv.Error:  # e.g. a line with NUL, or a field of an image's length
        return []
