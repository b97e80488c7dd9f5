"""Findings of a check."""

from __future__ import annotations

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
