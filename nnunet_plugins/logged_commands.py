"""Commands that run with their output in a log."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

from nnunet_plugins.errors import UserError

TAIL = 12  # lines of a log in an error message


def run_logged(
    command: Sequence[str],
    log: Path,
    who: str,
    *,
    folder: Path,
    environment: Mapping[str, str],
    locks: Sequence[int] = (),
) -> None:
    """Run a command, appending its output to a log.

    Args:
        command: the program and its arguments.
        log: the file.
        who: names the command in the message.
        folder: in which it runs.
        environment: variables that are added to those of this process.
        locks: descriptors that the process shares.

    Raises:
        UserError: it ended with another status than 0; the message has the end of the log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    variables = {**os.environ, **environment, "PYTHONUNBUFFERED": "1"}
    with log.open("ab") as stream:
        stream.write(f"\n## {now()} {os.uname().nodename}\n## {' '.join(command)}\n".encode())
        stream.flush()
        with subprocess.Popen(
            command, cwd=folder, env=variables, stdin=subprocess.DEVNULL, stdout=stream,
            stderr=subprocess.STDOUT, pass_fds=locks,
        ) as process:  # fmt: skip
            try:
                status = process.wait()
            except BaseException:
                process.terminate()  # leaving the block waits for it
                raise
    if status:
        raise UserError(
            f"{who}: {Path(command[0]).name} ended with status {status}; its log {log} ends with:\n{tail(log)}"
        )


def tail(log: Path, lines: int = TAIL) -> str:
    """The last lines of a log that are not empty."""
    if not log.is_file():
        return ""
    text = log.read_bytes()[-20_000:].decode("utf-8", "replace").replace("\r", "\n")
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


def now() -> str:
    """Date and time with seconds and offset."""
    return datetime.now(timezone.utc).astimezone().isoformat(timespec="seconds")
