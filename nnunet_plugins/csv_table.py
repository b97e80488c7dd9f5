"""CSV files whose cells a spreadsheet shows and never runs."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable

#: What a spreadsheet takes as the beginning of a formula.
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
_NUMBER = r"[-+]?\d[\d,]*(\.\d+)?(e[-+]?\d+)?"
#: A number, alone or with a spread, an interval or a footnote.
_NUMBERS = re.compile(rf"{_NUMBER}( ?%)?( (±|to) {_NUMBER})?( \*| †[\d,]*)?")


def csv_cell(value: object) -> object:
    """Return a value for a CSV file: a text that a spreadsheet would run as a formula is preceded by an apostrophe.

    Numbers stay numbers, also as text.

    >>> csv_cell("=1+1"), csv_cell("-0.41"), csv_cell(-0.41)
    ("'=1+1", '-0.41', -0.41)
    """
    if not isinstance(value, str):
        return value
    value = value.replace("\r\n", "\n").replace("\r", "\n")  # a lone return would end the row
    formula = value.startswith(_FORMULA) or value.lstrip().startswith(_FORMULA)
    number = value == "-" or _NUMBERS.fullmatch(value)
    return f"'{value}" if formula and not number else value


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    r"""Return the text of a CSV file; None is an empty cell.

    >>> csv_text([["label", "dice"], ["@hip", None]])
    "label,dice\n'@hip,\n"
    """
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(map(csv_cell, row) for row in rows)
    return stream.getvalue()
