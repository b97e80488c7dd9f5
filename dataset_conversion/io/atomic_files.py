"""Files that are written completely or not at all; digests, JSON and links."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dataset_conversion.errors import DatasetError, disk_error, reading


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    found = hashlib.sha256()
    with reading(path), path.open("rb") as stream:
        while block := stream.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def digest_of(paths: Iterable[Path]) -> str:
    """Return one SHA-256 for the contents of files, independent of their names and order."""
    parts = sorted(digest(path) for path in paths)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest() if len(parts) != 1 else parts[0]


def digest_json(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def to_json(value: Any) -> str:
    """Return JSON text in ASCII: nnU-Net opens its files in the platform's encoding."""
    return json.dumps(value, indent=2) + "\n"


def text_of(path: Path) -> str | None:
    """Return the text of a file; None without a file."""
    return path.read_text(encoding="utf-8") if path.is_file() else None


def write_text(path: Path, text: str, scratch: Path) -> None:
    """Write a text file under a temporary name in `scratch`, then move it into place."""
    temporary = scratch / path.name
    try:
        temporary.write_bytes(text.encode("utf-8"))
        os.replace(temporary, path)
    except OSError as error:
        raise disk_error(path, error) from error


def link(source: Path, target: Path) -> None:
    """Create a hard link to a file, or a copy where the disk has no links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def flush_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk, where the system supports it."""
    if os.name != "posix" or not folder.is_dir():
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:  # not supported by some network disks
        pass
    finally:
        os.close(handle)


def _in_words(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"


def check_space(folder: Path, needed: int) -> None:
    """Check that the disk of `folder` (or of its nearest parent) has `needed` bytes free."""
    there = next(p for p in (folder, *folder.resolve().parents) if p.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise DatasetError(
            f"{folder}: {_in_words(free)} free, up to {_in_words(needed)} required; "
            "make room, or choose another nnUNet_raw"
        )
