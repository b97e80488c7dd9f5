"""Files written so that they are whole or not there: digests, JSON, images read back."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from dataset_conversion.errors import DatasetError


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    found = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                found.update(block)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror or error})") from error
    return found.hexdigest()


def digest_of(paths: Iterable[Path]) -> str:
    """Return one SHA-256 for the contents of files, whatever their names and order."""
    parts = sorted(digest(path) for path in paths)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest() if len(parts) != 1 else parts[0]


def digest_json(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def to_json(value: Any) -> str:
    """Return JSON text in ASCII: nnU-Net opens its files in the platform's own encoding."""
    return json.dumps(value, indent=2) + "\n"


def write_text(path: Path, text: str, scratch: Path) -> None:
    """Write a text file under a temporary name in `scratch`, then move it into place."""
    temporary = scratch / path.name
    temporary.write_bytes(text.encode("utf-8"))
    os.replace(temporary, path)


def write_image(image: sitk.Image, path: Path, scratch: Path) -> str:
    """Write a volume, read it back, compare, move it into place; return its SHA-256.

    Raises:
        DatasetError: the file read back is not what was written (a full or failing disk).
    """
    temporary = scratch / path.name
    for key in image.GetMetaDataKeys():  # names hide in header fields
        image.EraseMetaData(key)
    try:
        sitk.WriteImage(image, str(temporary), True)
        again = sitk.ReadImage(str(temporary))
    except RuntimeError as error:
        raise DatasetError(f"{path}: cannot be written; is the disk full or failing?") from error
    same = image.GetSize() == again.GetSize() and np.array_equal(
        sitk.GetArrayViewFromImage(image), sitk.GetArrayViewFromImage(again)
    )
    if not (same and _same_place(image, again)):
        raise DatasetError(f"{path}: read back it differs; is the disk full or failing?")
    found = digest(temporary)
    os.replace(temporary, path)
    return found


def _same_place(a: sitk.Image, b: sitk.Image) -> bool:
    # NIfTI stores float32 quaternions.
    return (
        np.allclose(a.GetSpacing(), b.GetSpacing(), rtol=1e-5, atol=0)
        and np.allclose(a.GetOrigin(), b.GetOrigin(), rtol=1e-6, atol=1e-3)
        and np.allclose(a.GetDirection(), b.GetDirection(), rtol=0, atol=1e-4)
    )


def link(source: Path, target: Path) -> None:
    """Put an unchanged file in a second place: a hard link, or a copy where there are none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def check_space(folder: Path, needed: int) -> None:
    """Stop unless the disk of `folder` (or of its nearest parent) has `needed` bytes free."""
    there = next(p for p in (folder, *folder.resolve().parents) if p.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise DatasetError(
            f"{folder}: {free / 2**30:.1f} GiB free, up to {needed / 2**30:.1f} GiB are needed; "
            "make room, or choose another nnUNet_raw"
        )
