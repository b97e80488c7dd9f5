"""Worker processes that end with their parent. Imports nothing heavy: a worker begins with this module."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any


def begin(started: Any, parent: Connection) -> None:
    """Begin a worker process, which ends when the other end of ``parent`` is closed.

    The operating system closes it when the parent process ends, however that happens.

    Args:
        started: event that is set.
        parent: the receiving end of a pipe; nothing is sent.
    """
    started.set()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Connection) -> None:
    with suppress(EOFError, OSError):
        parent.recv_bytes()
    os._exit(1)


@contextmanager
def ctrl_c_blocked() -> Iterator[None]:
    """Processes that start in the block never receive Ctrl-C, which a terminal sends to a command's processes."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
