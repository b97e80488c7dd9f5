"""Case ids: from the content of a source, mixed with a secret if there is one, or from a folder's name."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from dataset_conversion.errors import DatasetError

_DIGITS = 8  # hex digits of a case id
#: Characters of a case id: file names have 255 bytes, of which an image's take 12 ('_0000.nii.gz'), its
#: unfinished file 11, and nnU-Net's and viewers' files derived from it the rest.
LONGEST = 200
_RESERVED = frozenset(("CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT")
                                                     for n in range(10))))  # fmt: skip


def case_id(prefix: str, sha256: str, secret: bytes = b"") -> str:
    """Return a case id derived from the content of a source, not from its name.

    Args:
        prefix: of the dataset.
        sha256: digest of the source, in hex.
        secret: from `read_salt`; without it, whoever has the source can find its case.

    >>> case_id("sijct", "1a2b3c4d5e6f")
    'sijct_1a2b3c4d'
    """
    if not secret:
        return f"{prefix}_{sha256[:_DIGITS]}"
    mixed = hashlib.blake2b(sha256.encode(), key=secret, digest_size=_DIGITS // 2)
    return f"{prefix}_{mixed.hexdigest()}"


def folder_id(where: Path, name: str = "") -> str:
    """Return a folder's name as a case id.

    `where` is the folder, `name` replaces the folder's name.

    Raises:
        DatasetError: no character of the name is allowed in a case id, the name is too long for the
            files of a case, or Windows reserves it.

    >>> folder_id(Path("scans/Patient 7"))
    'Patient_7'
    """
    own = name or where.name
    found = re.sub(r"[^A-Za-z0-9-]+", "_", own).strip("_-")
    if not found:
        raise DatasetError(
            f"{where}: its name has no character that a case id allows (A-Z, a-z, 0-9, - and _); "
            "rename it, or omit --keep-names"
        )
    if len(found) > LONGEST:
        raise DatasetError(
            f"{where}: its name has {len(found)} characters, a case id at most {LONGEST} (file names may "
            "have 255 bytes); rename it, or omit --keep-names"
        )
    if found.upper() in _RESERVED:
        raise DatasetError(
            f"{where}: Windows reserves the name {found}; rename it, or omit --keep-names"
        )
    return found


def read_salt(path: Path) -> bytes:
    """Return 32 bytes derived from the file of a salt.

    Raises:
        DatasetError: the file cannot be read or is too short.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DatasetError(
            f"{path}: the salt cannot be read ({error.strerror or error}); create it with "
            "e.g. head -c 32 /dev/urandom > salt, and keep it"
        ) from error
    if len(content.strip()) < 8:
        raise DatasetError(f"{path}: {len(content)} bytes are too few for a salt; use 32")
    return hashlib.sha256(content).digest()
