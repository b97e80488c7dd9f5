"""nnU-Net's three folders, their free disk space, and the dataset ids in them."""

import os
import re
import shlex
import shutil
from pathlib import Path

from nnunet_plugins.doctor.finding import SET_ENV, Environ, Finding
from nnunet_plugins.environment import FOLDERS

GIB = 1024**3
LOW_SPACE, FULL = 20 * GIB, 1 * GIB


def check_folders(environ: Environ) -> list[Finding]:
    """The three folders are set, exist and are writable, and their disks have free space."""
    return [_folder(name, environ.get(name, "")) for name in FOLDERS]


def _folder(name: str, value: str) -> Finding:
    path = Path(value)
    if not value:
        return Finding("broken", name, "is not set", SET_ENV)
    if not path.is_dir():
        fix = f"mkdir -p {shlex.quote(value)}\nor set another one:\n{SET_ENV}"
        return Finding("broken", name, f"{value} is not a folder", fix)
    if not os.access(path, os.W_OK | os.X_OK):
        if name == "nnUNet_raw":
            fix = "sufficient for training; converting a dataset into it fails"
            return Finding("warning", name, f"{value} is not writable", fix)
        fix = f"chmod u+rwx {shlex.quote(value)}\nor choose another folder:\n{SET_ENV}"
        return Finding("broken", name, f"{value} is not writable", fix)
    free = shutil.disk_usage(path).free
    detail = f"{value}, {free / GIB:.0f} GB free" if free >= GIB else f"{value}, under 1 GB free"
    fix = f"free space, or choose a folder on another disk:\n{SET_ENV}"
    if name != "nnUNet_raw" and free < FULL:
        return Finding("broken", name, detail, fix)
    if name != "nnUNet_raw" and free < LOW_SPACE:
        return Finding("warning", name, f"{detail}; 3D datasets need tens of GB", fix)
    if not path.is_absolute():
        return Finding("warning", name, f"{value} is relative to the current folder", SET_ENV)
    return Finding("ok", name, detail)


def check_dataset_ids(environ: Environ) -> list[Finding]:
    """Each id belongs to one dataset name in the three folders, compared as nnU-Net does."""
    names = {
        entry.name
        for folder in FOLDERS
        if environ.get(folder) and Path(environ[folder]).is_dir()
        for entry in Path(environ[folder]).iterdir()
        if entry.is_dir() and re.match(r"Dataset\d{3}", entry.name)
    }
    findings = []
    for start in sorted({name[:10] for name in names}):  # nnU-Net compares these ten characters
        same = sorted(name for name in names if name.startswith(start))
        if len(same) > 1:
            detail = f"{int(start[7:])} is the id of {' and '.join(same)}; nnU-Net rejects it as ambiguous"
            fix = "rename or remove one of them in raw, preprocessed and results"
            findings.append(Finding("broken", "dataset ids", detail, fix))
    return findings or [Finding("ok", "dataset ids", f"every id is unique ({len(names)} known)")]
