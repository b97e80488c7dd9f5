"""Read the first text elements of a DICOM file without its library, which takes ten times as long.

Files in explicit VR, little endian, are most of all. Others are left to the library.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

_START = 132  # preamble and "DICM"
_READ = 4096
_META = 0x00020010  # TransferSyntaxUID
_OTHER_SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")
_LONG = frozenset((b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UC", b"UR", b"UT", b"UN", b"SV",
                   b"UV"))  # fmt: skip
_UNDEFINED = 0xFFFFFFFF


def first_elements(path: Path, tags: Collection[int]) -> dict[int, str] | None:
    """Return elements of a file as text; None if the library must read it.

    That is so for another syntax, a text that is not ASCII, or more than 4 kB before the last tag.

    `tags` are of text elements outside the group 0002; missing ones are left out.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        content = stream.read(_READ)
    if content[_START - 4 : _START] != b"DICM":
        return None
    found: dict[int, str] = {}
    at, last = _START, max(tags)
    while at + 12 <= len(content):
        tag = int.from_bytes(content[at : at + 2], "little") << 16
        tag |= int.from_bytes(content[at + 2 : at + 4], "little")
        if tag > last:
            return found
        begin, size = _extent(content, at)
        at = begin + size
        if size == _UNDEFINED or at > len(content):
            return None
        if tag == _META or tag in tags:
            text = content[begin:at]
            if not text.isascii():
                return None
            found[tag] = text.decode("ascii").strip(" \0")
        if tag == _META and found.pop(tag) in _OTHER_SYNTAXES:
            return None
    return None


def _extent(content: bytes, at: int) -> tuple[int, int]:
    """Return where the value of an element begins, and its length."""
    if content[at + 4 : at + 6] in _LONG:
        return at + 12, int.from_bytes(content[at + 8 : at + 12], "little")
    return at + 8, int.from_bytes(content[at + 6 : at + 8], "little")
