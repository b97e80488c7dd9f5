"""The key from case ids to patients: a CSV file kept outside the dataset."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Collection, Iterable
from pathlib import Path

from dataset_conversion.cases.case import Case
from dataset_conversion.errors import DatasetError, disk_error


def check_key(key: Path, target: Path) -> None:
    """Reject a key inside the dataset, or in a folder that does not exist."""
    if target.resolve() in key.resolve().parents:
        raise DatasetError(f"{key}: the key is inside the dataset {target}; keep it elsewhere")
    if key.is_dir():
        raise DatasetError(f"{key}: is a folder; pass a .csv file for the key")
    if not key.resolve().parent.is_dir():
        raise DatasetError(f"{key}: its folder does not exist; create it first")


def write_key(key: Path, cases: Iterable[Case], written: Collection[str]) -> None:
    """Write one row per written case: its id and its source, a folder or a file as an absolute path."""
    sources = {case.name: _absolute(case.where) for case in cases if case.name in written}
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["case", "source"])
    rows.writerows(sorted(sources.items()))
    temporary = key.with_name(f".{key.name}.tmp")
    try:
        temporary.write_text(text.getvalue(), encoding="utf-8")
        temporary.replace(key)
    except OSError as error:
        raise disk_error(key, error) from error
    finally:
        temporary.unlink(missing_ok=True)  # it holds names: leave none behind


def _absolute(where: str) -> str:
    """Return a path as an absolute one; of several images, which are joined by "and", the first."""
    first = where if Path(where).exists() else where.split(" and ")[0]
    return os.path.abspath(first) if Path(first).exists() else where
