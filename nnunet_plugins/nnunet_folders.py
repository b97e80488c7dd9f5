"""The folders of nnU-Net and the datasets in them."""

from __future__ import annotations

import os
from pathlib import Path

from nnunet_plugins.errors import UserError


def folder_of(variable: str) -> Path:
    """Return the folder that an nnU-Net variable names, e.g. nnUNet_raw.

    Raises:
        UserError: the variable is not set.
    """
    if not os.environ.get(variable):
        raise UserError(
            f'{variable} is not set; run eval "$(nnunet-plugins env --root FOLDER)" in this shell first'
        )
    return Path(os.environ[variable])


def find_dataset(root: Path, dataset: str) -> str:
    """Return the name of the only dataset in ``root`` with the given id or name.

    Raises:
        UserError: none or several match; lists those that exist.
    """
    known = sorted(p.name for p in root.glob("Dataset[0-9][0-9][0-9]_*")) if root.is_dir() else []
    number = int(dataset) if dataset.isdecimal() else None
    found = [name for name in known if name == dataset or int(name[7:10]) == number]
    if len(found) != 1:
        raise UserError(
            f"dataset {dataset}: {len(found)} folders in {root} match; there are: {', '.join(known) or 'none'}"
        )
    return found[0]
