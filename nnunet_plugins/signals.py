"""Signals that end a command: temporary files are removed and processes ended, within three seconds."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any

SECONDS = 3.0
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP


def end_on_signals() -> list[int]:
    """Let Ctrl-C, SIGTERM and SIGHUP end this process as an exception does; return the list of signals received.

    Ctrl-C raises KeyboardInterrupt, the others SystemExit with 128 plus the signal's number. Some libraries discard
    exceptions while they are imported, and a calculation may take long: the process is ended after `SECONDS`, and at
    once by a second signal. Signals that are ignored, as under nohup, remain ignored. Forked processes get the
    default handling back.
    """
    received: list[int] = []
    handled: list[int] = []

    def end(number: int, _: FrameType | None) -> None:
        received.append(number)
        signal.signal(number, signal.SIG_DFL)
        timer = threading.Timer(SECONDS, os._exit, (128 + number,))
        timer.daemon = True
        timer.start()
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    for name in _NAMES:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, end)
            handled.append(number)
    _restore_in_forks(handled)
    return received


def _restore_in_forks(handled: list[int]) -> None:
    """Give forked processes the default handling of signals, without a moment in which a signal is lost.

    A new process discards signals that a Python handler received before the fork was complete. A pool of
    `multiprocessing` that ends at once would then wait forever for a worker that never saw its SIGTERM.
    """
    if not hasattr(os, "register_at_fork"):
        return
    earlier = threading.local()
    defaults: dict[int, Any] = {signal.SIGINT: signal.default_int_handler}

    def block() -> None:
        earlier.mask = signal.pthread_sigmask(signal.SIG_BLOCK, handled)

    def unblock() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, earlier.mask)

    def in_child() -> None:
        for number in handled:
            signal.signal(number, defaults.get(number, signal.SIG_DFL))
        unblock()

    os.register_at_fork(before=block, after_in_parent=unblock, after_in_child=in_child)
