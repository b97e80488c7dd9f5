"""Whether files have changed since they were hashed: by size and time of the last change, as make does."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dataset_conversion.errors import DatasetError, reading

Stamp = tuple[tuple[Path, int, int], ...]


def stamp(paths: Iterable[Path]) -> Stamp:
    """Return path, size and time of the last change of each file.

    Raises:
        DatasetError: a file cannot be read.
    """
    found = []
    for path in paths:
        with reading(path):
            status = path.stat()
        found.append((path, status.st_size, status.st_mtime_ns))
    return tuple(found)


def check_stamp(known: Stamp) -> None:
    """Reject files that have changed since: their recorded digests would be those of other content."""
    now = stamp(path for path, _, _ in known)
    changed = [
        path for (path, *_), one, other in zip(known, known, now, strict=True) if one != other
    ]
    if changed:
        raise DatasetError(f"{changed[0]}: changed during the conversion; run it again")
