"""Locks that end with their processes, and pass on to the processes that these start."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nnunet_plugins.errors import UserError


@contextmanager
def alone(file: Path, what: str, patience: float = 5.0) -> Iterator[int]:
    """Hold a lock during the block; yield its descriptor, for ``pass_fds`` of the processes that share it.

    The operating system releases it when the last of these processes has ended, however it ended.

    Args:
        file: the lock's file, which stays.
        what: names what is locked in the message.
        patience: seconds to wait for it, e.g. for the last processes of a command that was killed.

    Raises:
        UserError: another process holds it.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        until = time.monotonic() + patience
        while not _locked(handle):
            if time.monotonic() > until:
                holder = os.pread(handle, 200, 0).decode("utf-8", "replace").strip()
                raise UserError(f"{what} is running already ({holder or 'starting'})")
            time.sleep(0.1)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.uname().nodename}, process {os.getpid()}".encode(), 0)
        yield handle
    finally:
        os.close(handle)


def is_held(file: Path) -> bool:
    """Whether a process on this machine holds the lock."""
    with suppress(FileNotFoundError):
        handle = os.open(file, os.O_RDWR)
        try:
            return not _locked(handle)
        finally:
            os.close(handle)
    return False


def _locked(handle: int) -> bool:
    """Take the lock; False if another process holds it."""
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
