"""Text in columns, for a terminal."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Collection, Sequence

WIDTH = 100
GAP = "  "


def columns(rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> str:
    """Rows as lines, each column as wide as its widest cell.

    Args:
        rows: cells; all rows have the same number.
        right: indices of columns that are aligned to the right.

    >>> print(columns([["Dice", "0.91"], ["HD95 mm", "12.5"]], right={1}))
    Dice     0.91
    HD95 mm  12.5
    """
    widths = _widths(rows)
    return "\n".join(
        GAP.join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def ruled(rows: Sequence[Sequence[str]], *, left: int = 1) -> list[str]:
    """Lines of a table with a rule below its heading, all but the first ``left`` columns aligned to the right."""
    head, *body = columns(rows, right=range(left, len(rows[0]))).split("\n")
    return [head, GAP.join("-" * width for width in _widths(rows)), *body]


def stacked(table: Sequence[Sequence[str]], *, left: int = 1, width: int = WIDTH) -> list[str]:
    """Lines of a ruled table; columns that do not fit into ``width`` form a further table below.

    Every further table repeats the columns that name a row, at most two, and the last column ``n``, which counts the
    cases of the columns after it. Rows that consist of dashes only are left out.

    Args:
        table: columns, each beginning with its heading.
        left: columns of the first table that are aligned to the left; they name a row.
        width: characters per line.
    """
    names, rest = table[: min(left, 2)], table[min(left, 2) :]
    parts: list[list[Sequence[str]]] = [[*names]]
    counts: list[Sequence[str]] = []
    new_counts = False
    for column in rest:
        if column[0] == "n":
            counts, new_counts = [column], True
            continue
        new = [*counts, column] if new_counts else [column]
        together = sum(max(map(len, one)) + len(GAP) for one in [*parts[-1], *new]) - len(GAP)
        if together > width and len(parts[-1]) > len(names):
            parts.append([*names, *counts, column])
        else:
            parts[-1] += new
        new_counts = False
    lines: list[str] = []
    for part in parts:
        rows = [row for row in zip(*part, strict=True) if set(row[len(names) :]) != {"-"}]
        lines += [*([""] if lines else []), *ruled(rows, left=left)]
        left = len(names)
    return lines


def wrapped(rows: Sequence[Sequence[str]], limits: Sequence[int]) -> str:
    """Rows as lines; a cell longer than the limit of its column continues in the next line.

    >>> print(wrapped([["batch", "6 in the code; 2 in the text"]], [8, 14]))
    batch  6 in the code;
           2 in the text
    """
    lines: list[Sequence[str]] = []
    for row in rows:
        cells = [
            textwrap.wrap(cell, most, break_on_hyphens=False)
            for cell, most in zip(row, limits, strict=True)
        ]
        lines += itertools.zip_longest(*cells, fillvalue="")
    return columns(lines)


def remark(mark: str, text: str) -> str:
    """``text`` after ``mark``, wrapped and indented by the width of the mark."""
    begin = f"{mark} " if mark else ""
    return textwrap.fill(text, WIDTH, initial_indent=begin, subsequent_indent=" " * len(begin))


def number(value: float | None, digits: int) -> str:
    """A number with fixed decimals, or a dash for None."""
    return "-" if value is None else f"{value:.{digits}f}"


def count(value: int, noun: str) -> str:
    """A number with its noun in singular or plural.

    >>> count(2, "case")
    '2 cases'
    """
    return f"{value} {noun}{'' if value == 1 else 's'}"


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*rows, strict=True)]
