"""Minutes that a reader took, from a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Collection
from pathlib import Path

from dataset_conversion.errors import some
from nnunet_plugins.errors import UserError

COLUMNS = ("case", "minutes")


def read_minutes(file: Path, cases: Collection[str]) -> dict[str, float]:
    """Case -> minutes.

    Args:
        file: CSV file with the columns case and minutes.
        cases: that are returned; rows of other cases are an error, a missing row is not.

    Raises:
        UserError: the file cannot be read, lacks a column, names a case twice or one that is not returned, or holds
            something that is not a number of minutes.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            rows = list(reader)
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"--minutes {file}: cannot be read ({error})") from error
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise UserError(
            f"--minutes {file}: no column {' and '.join(missing)}; expected a header with {', '.join(COLUMNS)}"
        )
    found: dict[str, float] = {}
    for row in rows:
        case, text = (str(row[name] or "").strip() for name in COLUMNS)
        if case in found:
            raise UserError(f"--minutes {file}: {case} has two rows; keep one of them")
        found[case] = _number(text, case, file)
    unknown = sorted(set(found) - set(cases))
    if unknown:
        raise UserError(
            f"--minutes {file}: no mask is returned for {some(unknown)}; correct or remove the rows"
        )
    return found


def _number(text: str, case: str, file: Path) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 100_000:
        raise UserError(
            f"--minutes {file}: {case} has {text!r}; expected a number of minutes such as 12.5"
        )
    return value
