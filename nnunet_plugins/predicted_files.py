"""The record that `predict` and `ensemble` leave next to their label maps, and what else they write there."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from nnunet_plugins.errors import UserError
from nnunet_plugins.plans_file import read_object

RECORD = "nnunet_plugins_predict.json"


def maps_in(folder: Path) -> set[str]:
    """Names of the files in a folder of predictions that are not label maps, e.g. CASE_entropy.nii.gz."""
    found: set[str] = set()
    if (folder / RECORD).is_file():
        with suppress(UserError):  # damaged
            files = read_object(folder / RECORD).get("files")
            for names in files.values() if isinstance(files, dict) else ():
                found.update(map(str, names[:-1]))
    return found
