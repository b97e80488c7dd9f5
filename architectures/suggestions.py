"""Known names ordered by similarity to a mistyped one."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest_first(name: str, known: Iterable[str]) -> list[str]:
    """``known`` sorted by similarity to ``name``, the most similar first; letter case is ignored.

    >>> nearest_first("magunt", ["UNet", "MAGUNet"])
    ['MAGUNet', 'UNet']
    """

    def unlike(candidate: str) -> float:
        return -SequenceMatcher(None, str(name).lower(), candidate.lower()).ratio()

    return sorted(known, key=unlike)
