"""Pipes, sockets and devices in a source: reading one would block, or never end."""

from __future__ import annotations

import os
import stat
from pathlib import Path

MOST_NESTED = 60  # folders in folders


def is_special(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is neither a file, a folder nor a link that leads to neither."""
    try:
        if entry.is_file() or entry.is_dir():
            return False
        kind = entry.stat().st_mode
    except OSError:  # a link to nowhere, or to itself: reported with its name
        return False
    return not (stat.S_ISREG(kind) or stat.S_ISDIR(kind))


def special_notes(source: Path) -> list[str]:
    """Return a note with the number of pipes, sockets and devices below a folder; links are not followed."""
    count, folders = 0, [(os.fspath(source), 0)]
    while folders:
        folder, depth = folders.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    count += is_special(entry)
                    if depth < MOST_NESTED and entry.is_dir(follow_symlinks=False):
                        folders.append((entry.path, depth + 1))
        except OSError:  # reported by the scan
            continue
    return [f"pipes, sockets and devices in the source were passed over: {count}"] if count else []
