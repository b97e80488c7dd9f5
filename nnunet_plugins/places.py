"""Where nnU-Net keeps a dataset, what plans may be called, and how a file comes to its place: whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nnunet_plugins.errors import UserError


def folder_of(variable: str) -> Path:
    """The folder that an nnU-Net variable names.

    Raises:
        UserError: it is not set.
    """
    if not os.environ.get(variable):
        raise UserError(
            f'{variable} is not set; run eval "$(nnunet-plugins env --root FOLDER)" in this shell first'
        )
    return Path(os.environ[variable])


def find_dataset(root: Path, wanted: str) -> str:
    """Name of the one dataset in ``root`` with the id or name ``wanted``.

    Raises:
        UserError: none or several, with those that are there.
    """
    known = sorted(p.name for p in root.glob("Dataset[0-9][0-9][0-9]_*")) if root.is_dir() else []
    found = [
        d for d in known if d == wanted or (wanted.isdecimal() and int(d[7:10]) == int(wanted))
    ]
    if len(found) != 1:
        raise UserError(
            f"dataset {wanted}: {len(found)} folders in {root} match; there are: {', '.join(known) or 'none'}"
        )
    return found[0]


#: What else nnU-Net keeps as .json beside the plans of a dataset.
NOT_PLANS = ("dataset", "dataset_fingerprint", "splits_final")


def check_plans_name(name: str) -> None:
    """Raise UserError if nnU-Net could not find its way with plans called ``name``."""
    if name in NOT_PLANS:
        raise UserError(f"plans name {name!r}: nnU-Net keeps a file of that name; choose another")
    if "__" in name or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise UserError(
            f"plans name {name!r}: letters, digits, '.', '-' and single '_' only (nnU-Net splits at '__')"
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
        scratch = Path(tempfile.mkdtemp(prefix=".nnunet-plugins.", dir=target.parent))
    except OSError as error:
        raise UserError(
            f"{target.parent}: cannot be written to ({error}); choose another place with -o"
        ) from error
    try:
        temporary = scratch / target.name
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        raise UserError(f"{target}: cannot be written ({error})") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
