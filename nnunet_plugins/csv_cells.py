"""Tables with named columns, and with the place of every cell for messages."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.csv_rows import rows_of_csv
from nnunet_plugins.errors import UserError

#: Texts of cells whose value is not known. A hyphen or none may mean negative.
UNKNOWN = frozenset(("", "na", "n/a", "nan", "null", "unknown"))
_THOUSANDS = re.compile(r"\s*[-+]?[1-9]\d{0,2},\d{3}\s*")


@dataclass(frozen=True)
class Cell:
    """A text with its place, for messages."""

    text: str
    where: str

    @property
    def name(self) -> str:
        """The text in Unicode's composed form (NFC), for names that some systems write decomposed."""
        return unicodedata.normalize("NFC", self.text)

    @property
    def number(self) -> float | None:
        """The number, None for an empty cell.

        Raises:
            UserError: the text is not a number.
        """
        value = number(self.text) if self.text else None
        if self.text and value is None:
            raise UserError(
                f"{self.where} is {self.text!r}; expected a number, such as 1200 or 2.5, or an empty cell: correct it"
            )
        return value


def table(
    path: Path,
    what: str,
    example: str,
    required: Collection[str],
    optional: Collection[str] | None = None,
) -> list[dict[str, Cell]]:
    """Rows as column -> cell; column names are in lower case.

    Args:
        path: CSV file, see `rows_of_csv`.
        what: name of the table, for messages.
        example: of its header, for messages.
        required: columns that must be there, and whose cells are not empty.
        optional: further columns that are known; None allows any.

    Raises:
        UserError: the file cannot be read, a column is missing, unknown or given twice, a row has too many cells, or
            a required cell is empty.
    """
    try:
        rows = rows_of_csv(path, what, example)
    except DatasetError as error:
        raise UserError(str(error)) from error
    header = [cell.casefold() for cell in rows[0][1]] if rows else []
    while header and not header[-1]:  # separators at the end of the lines
        header.pop()
    missing = [name for name in required if name not in header]
    known = header if optional is None else (*required, *optional)
    allowed = "any others" if optional is None else ", ".join(optional)
    unknown = [name or "(empty)" for name in header if name not in known]
    twice = sorted({name or "(empty)" for name in header if header.count(name) > 1})
    if missing or unknown or twice:
        found = {"missing": missing, "unknown": unknown, "given twice": twice}
        raise UserError(
            f"{path}: columns "
            + "; ".join(f"{about}: {', '.join(names)}" for about, names in found.items() if names)
            + f"; required are {', '.join(required)}, allowed {allowed}: add, rename or remove columns"
        )
    read = []
    for line, cells in rows[1:]:
        if any(cells[len(header) :]):
            raise UserError(
                f"{path}: row {line} has {len(cells)} cells, the header names {len(header)} columns; correct the row"
            )
        cells = [*cells, *[""] * (len(header) - len(cells))]
        row = {
            name: Cell(cell, f"{path}: row {line}, {name}")
            for name, cell in zip(header, cells, strict=False)
        }
        if empty := [name for name in required if not row[name].text]:
            raise UserError(f"{row[empty[0]].where} is empty; complete the row")
        read.append(row)
    return read


def number(text: str) -> float | None:
    """A finite number, with a decimal point or comma; None for other text, and for 1,200, which may be 1.2 or 1200.

    >>> number("2,5"), number("0,125"), number("1,200"), number("fast")
    (2.5, 0.125, None, None)
    """
    if "_" in text or _THOUSANDS.fullmatch(text):
        return None
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
