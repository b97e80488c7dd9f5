"""Findings of a check, and lists of names for messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One problem; `case` is empty if it concerns the dataset itself."""

    text: str
    case: str = ""
    error: bool = True

    def __str__(self) -> str:
        """Return one line."""
        who = f"{self.case}: " if self.case else ""
        return f"{'error' if self.error else 'warning'}: {who}{self.text}"


def some(names: Sequence[str]) -> str:
    """Return the first five names and the number of the others.

    >>> some(["a", "b", "c", "d", "e", "f"])
    'a, b, c, d, e and 1 more'
    """
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
