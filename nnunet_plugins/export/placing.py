"""Files that get their name only when they have been read back and found right."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nnunet_plugins.errors import UserError


class UnequalError(UserError):
    """A written file does not hold what was meant."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(
            f"{path.name}: read back, it does not hold what was written ({what}); nothing is kept of it. "
            "This is a defect of nnunet-plugins or of a library: please report it"
        )


@contextmanager
def placed(target: Path) -> Iterator[Path]:
    """Give a temporary path with the target's name; move it there when the block ends well.

    Raises:
        UserError: the place cannot be written to.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Beside its place: a rename is atomic only within one file system.
        scratch = Path(tempfile.mkdtemp(prefix=".export.", dir=target.parent))
    except OSError as error:
        raise UserError(f"{target.parent}: cannot be written to ({error}); pass -o DIR") from error
    try:
        temporary = scratch / target.name
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        raise UserError(f"{target}: cannot be written ({error})") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
