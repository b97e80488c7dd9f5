"""Temporary folders; those of killed processes are removed by the next process that needs one in the same place."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = ".nnunet-plugins."


@contextmanager
def scratch_in(parent: Path | None = None) -> Iterator[Path]:
    """Yield a new folder, which is removed at the end; first remove the folders that killed processes have left.

    A process holds a lock on its folder. The operating system releases it when the process ends, so a folder without
    lock is left over. On Windows, and on disks without locks for folders, nothing is removed.

    Args:
        parent: folder in which it is created; None takes the system's folder for temporary files.

    Raises:
        OSError: the folder cannot be created.

    >>> with scratch_in() as folder:
    ...     folder.is_dir()
    True
    >>> folder.exists()
    False
    """
    place = parent or Path(tempfile.gettempdir())
    _remove_leftovers(place)
    folder, lock = _locked(place)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _locked(place: Path) -> tuple[Path, int | None]:
    """Create a folder and lock it; another process may remove it before it is locked."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
        lock = _lock(folder)
        if folder.exists():
            return folder, lock
        if lock is not None:
            os.close(lock)


def _lock(folder: Path) -> int | None:
    """Lock a folder; None if another process holds the lock or there are no locks here."""
    if os.name != "posix":
        return None
    import fcntl

    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def _remove_leftovers(place: Path) -> None:
    with suppress(OSError):
        for folder in place.glob(f"{PREFIX}*"):
            lock = _lock(folder) if folder.is_dir() and not folder.is_symlink() else None
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)
