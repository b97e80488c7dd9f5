"""Files that appear complete or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from nnunet_plugins.errors import UserError
from nnunet_plugins.scratch import scratch_in


@contextmanager
def placed(target: Path) -> Iterator[Path]:
    r"""Yield a temporary path with the target's name; move it to the target if the block succeeds.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with placed(folder / "scores.csv") as temporary:
    ...     _ = temporary.write_text("dice\n")
    ...     (folder / "scores.csv").exists()
    False
    >>> [path.name for path in folder.iterdir()]
    ['scores.csv']

    Raises:
        UserError: the target cannot be written.
    """
    try:
        with placed_in(target.parent) as folder:
            yield folder / target.name
    except OSError as error:
        raise UserError(f"{target}: cannot be written ({error})") from error


def write_text(target: Path, text: str) -> None:
    """Write a text file.

    Raises:
        UserError: it cannot be written.
    """
    with placed(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(target: Path, content: Any, *, indent: int = 1) -> None:
    """Write a JSON file in ASCII: nnU-Net opens its files in the platform's encoding.

    Raises:
        UserError: it cannot be written.
    """
    write_text(target, json.dumps(content, indent=indent) + "\n")


@contextmanager
def placed_in(target: Path) -> Iterator[Path]:
    """Yield a temporary folder; move its files into the target folder if the block succeeds, JSON files last.

    Raises:
        UserError: the folder is not writable, or a file cannot be moved.
    """
    with ExitStack() as stack:
        try:
            target.mkdir(parents=True, exist_ok=True)
            # In the target itself: a rename is atomic only within one file system.
            scratch = stack.enter_context(scratch_in(target))
        except OSError as error:
            raise UserError(
                f"{target}: cannot be written to ({error}); choose another place with -o"
            ) from error
        yield scratch
        files = [path for path in scratch.iterdir() if path.is_file()]
        for path in sorted(files, key=lambda one: (one.suffix == ".json", one.name)):
            try:
                os.replace(path, target / path.name)
            except OSError as error:
                raise UserError(f"{target / path.name}: cannot be written ({error})") from error
