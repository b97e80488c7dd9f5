"""Exceptions for problems that a user can fix."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

MOST_SHOWN = 10
NO_MEMORY = (
    "does not fit into the memory that is free; use fewer jobs (-j), or a machine with more memory"
)
#: Control characters but tab and newline, separators of lines, marks that reverse the direction, surrogates.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


class DatasetError(ValueError):
    """Data or settings that cannot be converted; the message states where, what, and the fix."""

    def __init__(self, message: str = "") -> None:
        """Replace what a terminal would obey, or cannot show, in names of files."""
        super().__init__(printable(message))


class DiskError(DatasetError):
    """The target disk fails; no case is at fault, and continuing would not help."""


def printable(text: str) -> str:
    r"""Return a text with bytes that are not UTF-8 as \\xNN, and without characters that control a terminal.

    >>> printable("M\udcfcller"), printable("a\x1b[31mb")
    ('M\\xfcller', 'a\\x1b[31mb')
    """
    return _UNPRINTABLE.sub(lambda found: _code(ord(found[0])), text)


def _code(point: int) -> str:
    if 0xDC80 <= point <= 0xDCFF:  # surrogateescape
        point -= 0xDC00
    return f"\\x{point:02x}" if point < 256 else f"\\u{point:04x}"


def together(problems: Iterable[str]) -> DatasetError:
    """Join several problems into one error, so that all can be fixed at once."""
    found = list(problems)
    if len(found) == 1:
        return DatasetError(found[0])
    shown = "\n".join(f"  - {text}" for text in found[:MOST_SHOWN])
    rest = len(found) - MOST_SHOWN
    more = f"\n  ... and {rest} more" if rest > 0 else ""
    return DatasetError(f"{len(found)} problems:\n{shown}{more}")


def some(items: Sequence[object], most: int = 5) -> str:
    """Return the first items and the number of the others.

    >>> some(["a", "b", "c", "d", "e", "f"])
    'a, b, c, d, e and 1 more'
    """
    rest = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(map(str, items[:most])) + rest


def short(value: object) -> str:
    """Return a value as Python writes it, cut to 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


@contextmanager
def reading(path: Path | str) -> Iterator[None]:
    """Report an error of the operating system as one of a file that is read."""
    try:
        yield
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror or error})") from error


def disk_error(path: Path, error: OSError) -> DiskError:
    """Return an error with the reason why a file cannot be written, e.g. a full disk."""
    if error.errno in _FULL:
        return DiskError(
            f"{path}: the disk is full ({error.strerror}); make room, or choose another "
            "nnUNet_raw, and start again: finished cases are kept"
        )
    return DiskError(f"{path}: cannot be written ({error.strerror or error})")
