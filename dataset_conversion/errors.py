"""Exceptions for problems that a user can fix."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from pathlib import Path

MOST_SHOWN = 10
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


class DatasetError(ValueError):
    """Data or settings that cannot be converted; the message states where, what, and the fix."""


class DiskError(DatasetError):
    """The target disk fails; no case is at fault, and continuing would not help."""


def together(problems: Iterable[str]) -> DatasetError:
    """Join several problems into one error, so that all can be fixed at once."""
    found = list(problems)
    if len(found) == 1:
        return DatasetError(found[0])
    shown = "\n".join(f"  - {text}" for text in found[:MOST_SHOWN])
    rest = len(found) - MOST_SHOWN
    more = f"\n  ... and {rest} more" if rest > 0 else ""
    return DatasetError(f"{len(found)} problems:\n{shown}{more}")


def some(names: Sequence[str]) -> str:
    """Return the first five names and the number of the others.

    >>> some(["a", "b", "c", "d", "e", "f"])
    'a, b, c, d, e and 1 more'
    """
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def disk_error(path: Path, error: OSError) -> DiskError:
    """Return an error with the reason why a file cannot be written, e.g. a full disk."""
    if error.errno in _FULL:
        return DiskError(
            f"{path}: the disk is full ({error.strerror}); make room, or choose another "
            "nnUNet_raw, and start again: finished cases are kept"
        )
    return DiskError(f"{path}: cannot be written ({error.strerror or error})")
