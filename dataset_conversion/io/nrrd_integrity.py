"""Check that the compressed values of an NRRD file are complete, which ITK does not always notice."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

_HEAD = 1 << 16  # bytes within which a header must end; 3D Slicer writes a few thousand
_BLOCK = 1 << 20
_END = re.compile(rb"\r?\n\r?\n")
_PACKED = re.compile(rb"^encoding:[ \t]*(gz|gzip)[ \t\r]*$", re.MULTILINE | re.IGNORECASE)


def damaged(path: Path) -> bool:
    """Return whether a compressed stream is truncated or fails its checksum; others pass.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
        end = _END.search(head)
        if end is None or not _PACKED.search(head[: end.end()]):
            return False
        stream.seek(end.end())
        unpack = zlib.decompressobj(47)  # zlib or gzip format
        try:
            while not unpack.eof and (block := stream.read(_BLOCK)):
                while block:
                    unpack.decompress(block, 4 * _BLOCK)
                    block = unpack.unconsumed_tail
        except zlib.error:
            return True
    return not unpack.eof
