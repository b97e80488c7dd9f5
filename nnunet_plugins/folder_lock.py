"""A lock on a folder that one process at a time writes to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nnunet_plugins.errors import UserError


@contextmanager
def folder_alone(folder: Path, what: str) -> Iterator[None]:
    """Hold the lock of a folder during the block; the operating system releases it when the process ends.

    Windows, and disks without locks for folders, have none: there the block runs without it.

    Args:
        folder: must exist.
        what: names the work in the message.

    Raises:
        UserError: another process holds it.
    """
    if os.name != "posix":
        yield
        return
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(
                f"{folder}: another {what} writes to this folder; wait for its end, or choose another with -o"
            ) from error
        except OSError:  # a disk without locks
            pass
        yield
    finally:
        os.close(handle)
