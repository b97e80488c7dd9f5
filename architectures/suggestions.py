"""Known names in the order that helps whoever mistyped one."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest_first(name: str, known: Iterable[str]) -> list[str]:
    """``known`` sorted by likeness to ``name``, the most alike first; letter case does not count."""

    def unlike(candidate: str) -> float:
        return -SequenceMatcher(None, str(name).lower(), candidate.lower()).ratio()

    return sorted(known, key=unlike)
