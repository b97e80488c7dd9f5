"""Whether a file is compressed with gzip, by its content: names such as .nii.gz may be wrong.

Browsers and copying programs unpack a file and keep its name, or the reverse.
"""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from isal import igzip

_MARK = b"\x1f\x8b"


def is_gzip(path: Path) -> bool:
    """Return whether the content starts as gzip does."""
    with path.open("rb") as stream:
        return stream.read(2) == _MARK


def named_wrong(path: Path) -> bool:
    """Return whether content and name disagree on the compression with gzip."""
    return is_gzip(path) != path.name.lower().endswith(".gz")


def content(path: Path) -> bytes:
    """Return all bytes of a file, decompressed if they are gzip; checks the CRC."""
    whole = path.read_bytes()
    if whole[:2] != _MARK:
        return whole
    plain: bytes = igzip.decompress(whole)  # type: ignore[no-untyped-call]
    return plain


def head(path: Path, length: int) -> bytes:
    """Return the first bytes of a file, decompressed if they are gzip; fewer if it is damaged.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        start = stream.read(length + 1024)
    if start[:2] != _MARK:
        return start[:length]
    try:
        return zlib.decompressobj(31).decompress(start, length)
    except zlib.error:
        return b""


@contextmanager
def plain(path: Path) -> Iterator[Path]:
    """Return the path of a file that is not compressed as a whole: itself, or a temporary copy."""
    if not is_gzip(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="nnunet-plugins.") as scratch:
        copy = Path(scratch) / f"volume{path.suffix}"
        copy.write_bytes(content(path))
        yield copy
