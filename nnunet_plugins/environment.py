"""The environment variables through which nnU-Net finds data, results and our trainers.

Standard library only: a shell waits for this at every `eval "$(nnunet-plugins env ...)"`.
"""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from nnunet_plugins.errors import UserError

FOLDERS = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
EXTENSIONS = "nnUNet_extTrainer"

# For a few CPU cores: threads that sleep instead of spinning, one worker instead of eight or
# twelve, no compilation (two minutes), no search for a display.
# Planning crashes on nnUNet_n_proc_DA=0, hence 1.
SMALL_CPU = {
    "OMP_WAIT_POLICY": "passive",
    "nnUNet_def_n_proc": "1",
    "nnUNet_n_proc_DA": "1",
    "nnUNet_compile": "f",
    "MPLBACKEND": "Agg",
}


def extension_folder() -> Path:
    """Return the folder in which nnU-Net finds our trainers."""
    return Path(__file__).resolve().parent / "nnunet_ext"


def variables(
    root: Path | str | None, *, cpu: bool = False, environ: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the variables to set, for a subprocess or a shell.

    >>> variables("/data", environ={})["nnUNet_raw"]
    '/data/nnUNet_raw'

    Args:
        root: folder for nnUNet_raw, nnUNet_preprocessed and nnUNet_results; None keeps the
            current values of the three.
        cpu: add settings for a small machine without a GPU.
        environ: the current environment; os.environ by default.

    Raises:
        UserError: no root and not all three are set, or a path with a line break or NUL.
    """
    environ = os.environ if environ is None else environ
    values = {name: _path(name, value) for name, value in _folders(root, environ).items()}
    values[EXTENSIONS] = _extensions(environ.get(EXTENSIONS, ""))
    return values | (SMALL_CPU if cpu else {})


def register_trainers() -> None:
    """Let nnU-Net's own look-up find our trainers in this process and in workers that it starts.

    Sets nnUNet_extTrainer in os.environ, which nnU-Net reads at every look-up; folders that are set are kept, and
    calling it again changes nothing. In a shell, `nnunet-plugins env` does the same.

    >>> import nnunet_plugins
    >>> nnunet_plugins.register_trainers()
    >>> os.path.basename(os.environ["nnUNet_extTrainer"].split(os.pathsep)[0])
    'nnunet_ext'
    """
    os.environ[EXTENSIONS] = _extensions(os.environ.get(EXTENSIONS, ""))


def exports(
    root: Path | str | None, *, cpu: bool = False, environ: Mapping[str, str] | None = None
) -> str:
    """Return shell text for `eval`: create the three folders, then export `variables`.

    Raises:
        UserError: see `variables`.
    """
    values = variables(root, cpu=cpu, environ=environ)
    folders = " ".join(shlex.quote(values[name]) for name in FOLDERS)
    lines = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
    return "\n".join([f"mkdir -p -- {folders}", *lines]) + "\n"


def _folders(root: Path | str | None, environ: Mapping[str, str]) -> dict[str, str]:
    if root is not None:
        if not str(root).strip():
            raise UserError("env: --root is empty; pass the folder for nnU-Net's data")
        return {name: os.path.join(root, name) for name in FOLDERS}
    missing = [name for name in FOLDERS if not environ.get(name)]
    if missing:
        raise UserError(
            f"env: not set: {', '.join(missing)}; pass --root FOLDER, which will hold nnUNet_raw, "
            "nnUNet_preprocessed and nnUNet_results"
        )
    return {name: environ[name] for name in FOLDERS}


def _path(name: str, value: str) -> str:
    """Make a path absolute, for commands that run in another folder."""
    if any(character in value for character in "\n\r\0"):
        raise UserError(
            f"env: {name} would be {value!r}; a line break or NUL is not allowed in it; "
            "choose another folder"
        )
    return os.path.abspath(os.path.expanduser(value))


def _extensions(present: str) -> str:
    """Our folder, then the user's own; our folders that no longer exist are dropped.

    nnU-Net imports every module of one folder after the other until it has the trainer. A module that cannot be
    imported, e.g. of a plugin that lacks a package, ends the search. With our folder first, such a plugin blocks its
    own trainers only. Its folder is kept: finding out whether it can be imported takes seconds, and its trainers
    should fail with its own error. Our trainers' names are unique, so the order hides no one else's.
    """
    ours = extension_folder()
    if os.pathsep in str(ours):
        raise UserError(
            f"env: nnunet-plugins is installed in {ours}, and nnU-Net splits {EXTENSIONS} at "
            f"{os.pathsep!r}; install it in a folder without one"
        )
    kept: list[str] = []
    for entry in present.split(os.pathsep):
        if not entry.strip():
            continue
        folder = Path(_path(EXTENSIONS, entry))
        # A deleted virtual environment leaves its folder behind in the shell's variable.
        stale = folder.parts[-2:] == ours.parts[-2:] and not folder.exists()
        if not stale and folder.resolve() != ours and str(folder) not in kept:
            kept.append(str(folder))
    return os.pathsep.join([str(ours), *kept])
