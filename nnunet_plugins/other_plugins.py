"""Trainer plugins of other projects in nnUNet_extTrainer, and the file that breaks nnU-Net's search for a trainer.

nnU-Net imports every module of a folder until it finds the trainer; an error in one of them ends the search.
Standard library only: `doctor` runs this next to modules that may crash.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping
from pathlib import Path

from nnunet_plugins.environment import EXTENSIONS, extension_folder


def listed_folders(environ: Mapping[str, str] | None = None) -> list[Path]:
    """The folders in nnUNet_extTrainer, ours included, in nnU-Net's order.

    >>> folders = listed_folders({"nnUNet_extTrainer": os.pathsep.join(["/umamba", "", "/more"])})
    >>> [folder.name for folder in folders]
    ['umamba', 'more']
    """
    value = (os.environ if environ is None else environ).get(EXTENSIONS, "")
    return [Path(entry) for entry in value.split(os.pathsep) if entry.strip()]


def is_ours(folder: Path) -> bool:
    """Whether it is the folder that holds our trainers."""
    return folder.resolve() == extension_folder()


def broken_file(error: BaseException, environ: Mapping[str, str] | None = None) -> str:
    """Where ``error`` comes from in another plugin, as ``FILE, line N: ERROR``; empty if from none.

    Args:
        error: raised while nnU-Net looked for a trainer.
        environ: its nnUNet_extTrainer lists the folders; os.environ by default.
    """
    folders = [folder.resolve() for folder in listed_folders(environ) if not is_ours(folder)]
    ours = extension_folder().parent
    places = [(one.filename, one.lineno) for one in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        places.append((error.filename, error.lineno))
    for name, line in reversed(places):
        file = Path(name).resolve()
        if ours not in file.parents and set(folders) & set(file.parents):
            what = error.msg if isinstance(error, SyntaxError) else str(error)
            text = " ".join(what.split())
            return f"{file}, line {line}: {type(error).__name__}" + (f": {text}" if text else "")
    return ""
