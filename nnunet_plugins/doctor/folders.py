"""nnU-Net's three folders, their disks, and the dataset ids in them."""

import os
import re
import shlex
import shutil
from pathlib import Path

from nnunet_plugins.doctor.finding import SET_ENV, Environ, Finding
from nnunet_plugins.environment import FOLDERS

GIB = 1024**3
LITTLE_DISK, NO_DISK = 20 * GIB, 1 * GIB


def check_folders(environ: Environ) -> list[Finding]:
    """The three folders are set, exist, can be written, and their disks have room."""
    return [_folder(name, environ.get(name, "")) for name in FOLDERS]


def _folder(name: str, value: str) -> Finding:
    path = Path(value)
    if not value:
        return Finding("broken", name, "is not set", SET_ENV)
    if not path.is_dir():
        cure = f"mkdir -p {shlex.quote(value)}\nor set another one:\n{SET_ENV}"
        return Finding("broken", name, f"{value} is not a folder", cure)
    if not os.access(path, os.W_OK | os.X_OK):
        if name == "nnUNet_raw":
            cure = "fine for training; converting a dataset into it will fail"
            return Finding("warning", name, f"{value} cannot be written", cure)
        cure = f"chmod u+rwx {shlex.quote(value)}\nor choose another folder:\n{SET_ENV}"
        return Finding("broken", name, f"{value} cannot be written", cure)
    free = shutil.disk_usage(path).free
    detail = f"{value}, {free / GIB:.0f} GB free" if free >= GIB else f"{value}, under 1 GB free"
    cure = f"make room, or choose a folder on another disk:\n{SET_ENV}"
    if name != "nnUNet_raw" and free < NO_DISK:
        return Finding("broken", name, detail, cure)
    if name != "nnUNet_raw" and free < LITTLE_DISK:
        return Finding("warning", name, f"{detail}; 3D datasets take tens of GB", cure)
    if not path.is_absolute():
        return Finding("warning", name, f"{value} is relative to where you stand", SET_ENV)
    return Finding("ok", name, detail)


def check_dataset_ids(environ: Environ) -> list[Finding]:
    """No id belongs to two dataset names over the three folders, by nnU-Net's own comparison."""
    names = {
        entry.name
        for folder in FOLDERS
        if environ.get(folder) and Path(environ[folder]).is_dir()
        for entry in Path(environ[folder]).iterdir()
        if entry.is_dir() and re.match(r"Dataset\d{3}", entry.name)
    }
    findings = []
    for start in sorted({name[:10] for name in names}):  # nnU-Net compares these ten letters only
        same = sorted(name for name in names if name.startswith(start))
        if len(same) > 1:
            detail = f"{int(start[7:])} means {' and '.join(same)}; nnU-Net refuses the number"
            cure = "rename or remove one of them in raw, preprocessed and results alike"
            findings.append(Finding("broken", "dataset ids", detail, cure))
    return findings or [Finding("ok", "dataset ids", f"every id is unique ({len(names)} known)")]
