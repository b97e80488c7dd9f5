"""Text in columns, for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Sequence

WIDTH = 100


def columns(rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> str:
    """Rows as lines, each column as wide as its widest cell.

    Args:
        rows: cells; all rows have as many.
        right: columns that are flush right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def remark(mark: str, text: str) -> str:
    """``text`` after ``mark``, wrapped beside it."""
    begin = f"{mark} " if mark else ""
    return textwrap.fill(text, WIDTH, initial_indent=begin, subsequent_indent=" " * len(begin))
