"""The one exception of this package: something that a user can mend."""

from __future__ import annotations

from collections.abc import Iterable

MOST_SHOWN = 10


class DatasetError(ValueError):
    """Data or settings that cannot be converted; the message says who, what, and the cure."""


def together(problems: Iterable[str]) -> DatasetError:
    """Join several problems into one error, so that they can be mended in one go."""
    found = list(problems)
    if len(found) == 1:
        return DatasetError(found[0])
    shown = "\n".join(f"  - {text}" for text in found[:MOST_SHOWN])
    rest = len(found) - MOST_SHOWN
    more = f"\n  ... and {rest} more" if rest > 0 else ""
    return DatasetError(f"{len(found)} problems:\n{shown}{more}")
