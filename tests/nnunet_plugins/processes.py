"""Running commands that are killed, and looking for the processes that they leave."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nnunet_plugins.cli import main
from nnunet_plugins.scratch import PREFIX
from tests.dataset_conversion.making import tree

ROOT = Path(__file__).parents[2]
MARK = "TEST_OF_KILLED_COMMANDS"
LIMIT = 5.0  # s after which no process may be left
MACHINE = 20.0  # s more, for a machine with other work


def start(arguments: list[str], mark: str, **more: str) -> subprocess.Popen[str]:
    """Start one of our commands in a process group of its own."""
    environment = {
        **os.environ,
        **more,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        MARK: mark,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "nnunet_plugins", *arguments], env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


class Forked:
    """A command in a fork of this process, which has imported everything; used as `subprocess.Popen`."""

    def __init__(self, arguments: list[str], _mark: str) -> None:
        self.pid = os.fork()
        if not self.pid:
            status = 1
            try:
                silent = os.open(os.devnull, os.O_WRONLY)
                os.dup2(silent, 1)
                os.dup2(silent, 2)
                status = main(arguments)
            finally:
                os._exit(status)
        self.returncode = 0

    def send_signal(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def communicate(self, timeout: float = 0) -> None:
        """Wait for the end."""
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def left(mark: str) -> list[int]:
    """Running processes that a marked command started, itself included."""
    entry = f"{MARK}={mark}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and entry in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def children(mark: str, count: int) -> bool:
    """Wait until a command has started processes; whether it did before it ended."""
    until, seen = time.monotonic() + 60, False
    while time.monotonic() < until:
        there = len(left(mark))
        if there > count:
            return True
        if seen and not there:
            return False
        seen = seen or there > 0
        time.sleep(0.05)
    return False


def kill(process: subprocess.Popen[str] | Forked, number: int, mark: str) -> int:
    """Send a signal, wait for the end, check that nothing is left; return the exit status."""
    process.send_signal(number)
    until = time.monotonic() + LIMIT + MACHINE
    process.communicate(timeout=LIMIT + MACHINE)
    while left(mark) and time.monotonic() < until:
        time.sleep(0.05)
    stray = left(mark)
    for one in stray:
        os.kill(one, signal.SIGKILL)
    assert not stray
    return int(process.returncode)


def killed_at_random(
    command: Callable[[Path], list[str]], moments: int, place: Path, begin: Callable[..., Any],
    growing: str = "",
) -> None:  # fmt: skip
    """Kill a command at random moments: no file is incomplete, and the next run gives the undisturbed result.

    Args:
        command: arguments of one of our commands that writes below a folder.
        moments: how often it is killed while it runs; a run that ended before is not counted.
        place: an empty folder.
        begin: `start`, or `Forked` if everything is imported.
        growing: name of a record that is written again for every case; it is compared at the end only.
    """
    chance = random.Random(5)
    before = time.monotonic()
    assert _status(begin(command(place / "whole"), "")) == 0
    whole, seconds = tree(place / "whole"), time.monotonic() - before
    assert whole
    out, killed = place / "killed", 0
    while killed < moments:
        mark = uuid.uuid4().hex
        process, moment = begin(command(out), mark), chance.uniform(0.05, 0.95) * seconds
        time.sleep(moment)
        status = kill(process, signal.SIGKILL, mark)
        found = tree(out)
        placed = {path for path in found if not Path(path).parts[0].startswith(PREFIX)} - {growing}
        assert whole.items() >= {path: found[path] for path in placed}.items()
        if status == -signal.SIGKILL:
            killed += 1
            continue
        assert (
            status == 0
        )  # it had ended: faster than the first run, as files and pages are in memory
        assert found == whole
        shutil.rmtree(out)
        seconds = moment
    assert _status(begin(command(out), "")) == 0
    assert tree(out) == whole


def _status(process: Any) -> int:
    process.communicate()
    return int(process.returncode)
