"""Whether a file is compressed with gzip, by its content: names such as .nii.gz may be wrong.

Browsers and copying programs unpack a file and keep its name, or the reverse, or compress it once more.
"""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from isal import isal_zlib

from dataset_conversion.io.promised_size import too_much

_MARK = b"\x1f\x8b"
#: Beginnings of archives, and of files that other programs compressed.
_OTHERS = {b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"7z\xbc\xaf": "7z", b"Rar!": "rar",
           b"\x28\xb5\x2f\xfd": "zstd"}  # fmt: skip


def is_gzip(path: Path) -> bool:
    """Return whether the content starts as gzip does."""
    with path.open("rb") as stream:
        return stream.read(2) == _MARK


def named_wrong(path: Path) -> bool:
    """Return whether content and name disagree on the compression with gzip, or it is compressed twice."""
    if is_gzip(path) != path.name.lower().endswith(".gz"):
        return True
    with path.open("rb") as stream:
        start = stream.read(4096)
    try:
        return start[:2] == _MARK and zlib.decompressobj(31).decompress(start, 2) == _MARK
    except zlib.error:  # damaged, reported by the readers
        return False


def packed(path: Path) -> str:
    """Return the format in which a file is packed other than gzip, by its content; empty if it is not."""
    with path.open("rb") as stream:
        start = stream.read(8)
    return next((name for mark, name in _OTHERS.items() if start.startswith(mark)), "")


def content(path: Path, most: int) -> bytes:
    """Return all bytes of a file, decompressed as long as they are gzip; checks the CRC.

    Raises:
        DatasetError: it decompresses to more.
        EOFError: it is truncated.
    """
    whole = path.read_bytes()
    while whole[:2] == _MARK:
        whole = _decompressed(whole, path, most)
    return whole


def _decompressed(rest: bytes, path: Path, most: int) -> bytes:
    parts: list[bytes] = []
    while rest[:2] == _MARK:  # a file of several parts is one of gzip too
        unpack = isal_zlib.decompressobj(31)
        try:
            parts.append(unpack.decompress(rest, most + 1))
        except isal_zlib.error as error:  # type: ignore[misc]
            raise zlib.error(f"CRC or bytes are wrong: {error}") from error
        most -= len(parts[-1])
        if most < 0:
            raise too_much(path, most + sum(map(len, parts)))
        if not unpack.eof:
            raise EOFError("truncated")
        rest = unpack.unused_data
    return parts[0] if len(parts) == 1 else b"".join(parts)


def head(path: Path, length: int) -> bytes:
    """Return the first bytes of a file, decompressed if they are gzip; fewer if it is damaged.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        start = stream.read(length + 4096)
    try:
        while start[:2] == _MARK:
            # Without the CRC at the end of a short file: `content` reports a wrong one.
            start = zlib.decompressobj(31).decompress(start[:-8], length + 2048)
    except zlib.error:
        return b""
    return start[:length]


@contextmanager
def plain(path: Path, most: int) -> Iterator[Path]:
    """Return the path of a file that is not compressed as a whole: itself, or a copy of at most `most` bytes."""
    if not is_gzip(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="nnunet-plugins.") as scratch:
        copy = Path(scratch) / f"volume{path.suffix}"
        copy.write_bytes(content(path, most))
        yield copy
