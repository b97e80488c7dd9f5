"""Names of segments that other programs read: one line of text, unique, within the limits of the format."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from nnunet_plugins.errors import UserError

#: Of a DICOM text of type LO. The standard counts characters; several programs, dciodvfy among them, count bytes.
LONGEST = 64
#: Characters without a glyph that are not part of a word: soft hyphen, zero-width space, word joiner, byte order
#: mark, and the marks that change the direction of text.
_INVISIBLE = dict.fromkeys(
    [0xAD, 0x200B, 0x2060, 0xFEFF, *range(0x200E, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
)  # fmt: skip


def clean_name(name: str) -> str:
    r"""Return a name as one line without characters that separate values in DICOM.

    Letters of every script are kept, in Unicode's composed form. A backslash becomes a slash; line breaks, tabs and
    other control characters become blanks; blanks at the ends and repeated blanks are removed.

    >>> clean_name("left\\ilium \n")
    'left/ilium'
    """
    composed = unicodedata.normalize("NFC", name.replace("\\", "/")).translate(_INVISIBLE)
    plain = "".join(" " if unicodedata.category(one) == "Cc" else one for one in composed)
    return " ".join(plain.split())


def clean_names(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return cleaned names, and a note that lists those that changed.

    Raises:
        UserError: a name is blank, is not valid Unicode, or equals another one.
    """
    names = list(names)
    cleaned = [clean_name(name) for name in names]
    for name, clean in zip(names, cleaned, strict=True):
        if not clean or any(unicodedata.category(one) == "Cs" for one in clean):
            raise UserError(
                f"dataset.json: the label name {name!r} has no characters that can be shown; name the label in "
                "dataset.json, or pass a corrected copy with -djfile FILE"
            )
    _check_unique(names, cleaned, "without blanks and control characters")
    changed = [
        f"{name!r} as {clean!r}"
        for name, clean in zip(names, cleaned, strict=True)
        if name != clean
    ]
    return cleaned, [f"names are cleaned: {', '.join(changed)}"] if changed else []


def dicom_names(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return names of at most 64 bytes in UTF-8, and a note that lists those that are cut.

    Raises:
        UserError: two names begin with the same 64 bytes.
    """
    names = list(names)
    short = [cut(name, LONGEST) for name in names]
    _check_unique(names, short, f"in the {LONGEST} bytes (UTF-8) that DICOM allows")
    long = [repr(one) for name, one in zip(names, short, strict=True) if name != one]
    if not long:
        return short, []
    return short, [f"DICOM SEG: names are cut to {LONGEST} bytes (UTF-8): {', '.join(long)}"]


def cut(text: str, size: int) -> str:
    """Return the beginning of a text that has at most this number of bytes in UTF-8.

    >>> cut("Hüfte", 3)
    'Hü'
    """
    return text.encode("utf-8")[:size].decode("utf-8", "ignore").rstrip()


def _check_unique(names: list[str], changed: list[str], how: str) -> None:
    for place, name in enumerate(changed):
        first = changed.index(name)
        if first != place:
            raise UserError(
                f"dataset.json: the label names {names[first]!r} and {names[place]!r} are equal {how}; rename one of "
                "them in dataset.json, or pass a corrected copy with -djfile FILE"
            )
