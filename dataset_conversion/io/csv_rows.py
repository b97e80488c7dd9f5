"""Rows of CSV files as spreadsheets write them: any usual encoding and separator."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from dataset_conversion.errors import DatasetError


def rows_of_csv(path: Path, what: str, expected: str) -> list[tuple[int, list[str]]]:
    """Return the number and the stripped cells of every row that is not blank.

    Args:
        path: a file in UTF-8 (with or without BOM), UTF-16 with BOM, or Windows-1252, separated by commas, semicolons
            or tabs.
        what: name of the table, for messages.
        expected: what its header looks like, for messages.

    Raises:
        DatasetError: the file cannot be read as CSV.
    """
    text = _text(path, what, expected)
    if "\n" not in text:  # as spreadsheets on old Macs end a line
        text = text.replace("\r", "\n")
    lines = [line for line in text.splitlines() if line.strip()]
    separator = None
    first = lines[0].strip().strip('"').casefold() if lines else ""
    skip = 0
    if first.startswith("sep=") and len(first) == 5:  # written by Excel
        separator, skip = first[4], 1
    head = lines[skip] if len(lines) > skip else ""
    separator = separator or max(",;\t", key=head.count)
    try:
        reader = csv.reader(io.StringIO(text), delimiter=separator, strict=True)
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise DatasetError(f"{path}: cannot be read as CSV ({error}); save it again") from error
    return [(number, row) for number, row in rows[skip:] if any(row)]


def _text(path: Path, what: str, expected: str) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DatasetError(
            f"{path}: the {what} cannot be read ({error.strerror or error}); {expected}"
        ) from error
    if content.startswith(b"PK") or content.startswith(b"\xd0\xcf\x11\xe0"):
        raise DatasetError(f"{path}: is a spreadsheet; save it as CSV, and pass that")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")
