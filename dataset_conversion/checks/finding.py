"""What is amiss with a raw dataset, and how names are listed in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that is amiss; `case` is empty where it concerns the dataset."""

    text: str
    case: str = ""
    error: bool = True

    def __str__(self) -> str:
        """Return one line."""
        who = f"{self.case}: " if self.case else ""
        return f"{'error' if self.error else 'warning'}: {who}{self.text}"


def some(names: Sequence[str]) -> str:
    """List the first five names and count the rest."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
