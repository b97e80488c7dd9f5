"""Minutes that a reader took, from a CSV file."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from dataset_conversion.errors import some
from nnunet_plugins.csv_cells import number, table
from nnunet_plugins.errors import UserError

COLUMNS = ("case", "minutes")
_MOST = 100_000


def read_minutes(file: Path, cases: Collection[str]) -> dict[str, float]:
    """Case -> minutes.

    Args:
        file: CSV file with the columns case and minutes.
        cases: that are returned; rows of other cases are an error, a missing row is not.

    Raises:
        UserError: the file cannot be read, lacks a column, names a case twice or one that is not returned, or holds
            something that is not a number of minutes.
    """
    found: dict[str, float] = {}
    for row in table(file, "file of --minutes", "expected e.g. case,minutes", COLUMNS):
        case, minutes = row["case"].text, row["minutes"]
        if case in found:
            raise UserError(f"--minutes {file}: {case} has two rows; keep one of them")
        value = number(minutes.text)
        if value is None or not 0 <= value < _MOST:
            raise UserError(
                f"{minutes.where} is {minutes.text!r}; expected a number of minutes such as 12.5"
            )
        found[case] = value
    unknown = sorted(set(found) - set(cases))
    if unknown:
        raise UserError(
            f"--minutes {file}: no mask is returned for {some(unknown)}; correct or remove the rows"
        )
    return found
