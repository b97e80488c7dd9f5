"""Signals that end a command: temporary files are removed and processes ended, within three seconds."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

SECONDS = 3.0
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP


def end_on_signals() -> list[int]:
    """Let Ctrl-C, SIGTERM and SIGHUP end this process as an exception does; return the list of signals received.

    Ctrl-C raises KeyboardInterrupt, the others SystemExit with 128 plus the signal's number. Some libraries discard
    exceptions while they are imported, and a calculation may take long: the process is ended after `SECONDS`, and at
    once by a second signal. Signals that are ignored, as under nohup, remain ignored.
    """
    received: list[int] = []

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
    return received
