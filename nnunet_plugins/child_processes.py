"""The processes that a command has started end with it, also when it is killed.

nnU-Net's functions and commands start processes of their own, which would otherwise finish their work after the
command is gone. A second process watches the command. When the command has been killed, it ends all processes that
have the command's mark in their environment. This file is also that process's program.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MARK = "NNUNET_PLUGINS_PARENT"
PROCESSES = Path("/proc")
_INTERVAL = 0.5  # s
_PATIENCE = 1.5  # s between SIGTERM and SIGKILL


@contextmanager
def ending_with_us() -> Iterator[None]:
    """Processes started in the block end when this process is killed or interrupted (Linux only)."""
    if not (PROCESSES / "self" / "environ").exists():
        yield
        return
    import secrets
    import subprocess

    mark, outer = secrets.token_hex(8), os.environ.get(MARK)
    theirs, ours = os.pipe()
    watcher = subprocess.Popen(
        [sys.executable, "-I", "-S", str(Path(__file__)), mark, str(os.getpid())],
        stdin=theirs, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={}, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    os.environ[MARK] = mark
    left_to_itself = False
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        left_to_itself = True
        raise
    finally:
        os.environ.pop(MARK)
        if outer is not None:
            os.environ[MARK] = outer
        with suppress(OSError):
            os.write(ours, b"" if left_to_itself else b"finished")
        os.close(ours)
        if not left_to_itself:
            watcher.wait()


def marked(mark: str) -> set[int]:
    """The processes with a mark in their environment."""
    entry = f"{MARK}={mark}".encode()
    found = set()
    for folder in PROCESSES.iterdir():
        if folder.name.isdigit():
            with suppress(OSError):  # another user's, or just ended
                if entry in (folder / "environ").read_bytes().split(b"\0"):
                    found.add(int(folder.name))
    return found


def end_marked(mark: str) -> None:
    """End all processes with a mark: SIGTERM first, then SIGKILL."""
    asked: set[int] = set()
    start = time.monotonic()
    while (there := marked(mark)) and time.monotonic() < start + 2 * _PATIENCE:
        late = time.monotonic() > start + _PATIENCE
        for process in there if late else there - asked:
            with suppress(OSError):
                os.kill(process, signal.SIGKILL if late else signal.SIGTERM)
        asked |= there
        time.sleep(0.1)


def _watch(mark: str, parent: int) -> None:
    while os.getppid() == parent:
        readable, _, _ = select.select([sys.stdin.buffer], [], [], _INTERVAL)
        if readable:
            if os.read(sys.stdin.fileno(), 100):
                return
            break
    end_marked(mark)


if __name__ == "__main__":
    _watch(sys.argv[1], int(sys.argv[2]))
