"""SNOMED CT terms of label names: the table terminology.csv, and the side in a name.

The codes are those of DICOM's context groups in pydicom (CID 7151, 7603, 7604, ...). One code is not among them and
is marked: intervertebral disc without a level, from TotalSegmentator's mapping.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

#: The categories of 3D Slicer's lists; 91723000 of later versions of CID 7150 is unknown there.
CATEGORIES = {
    "structure": ("123037004", "Anatomical Structure"),
    "tissue": ("85756007", "Tissue"),
    "altered": ("49755003", "Morphologically Altered Structure"),
}
_SIDES = {"left": ("7771000", "Left"), "right": ("24028007", "Right")}
_SIDE_WORDS = {
    "left": {"left", "lt", "l", "sin", "sinister", "sinistra", "links", "左"},
    "right": {"right", "rt", "r", "dex", "dexter", "dextra", "rechts", "右"},
}
_FILLERS = frozenset(("bone", "os", "of", "the", "and", "vertebra", "vertebrae", "disc", "disk",
                      "intervertebral", "structure"))  # fmt: skip


@dataclass(frozen=True)
class Code:
    """A concept: its value and meaning in a coding scheme (SCT is SNOMED CT)."""

    value: str
    meaning: str
    scheme: str = "SCT"


@dataclass(frozen=True)
class Term:
    """The meaning of a segment; `side` is Left, Right, or None if the name states none or both."""

    category: Code
    type: Code
    side: Code | None = None
    known: bool = True


UNKNOWN = Term(Code(*CATEGORIES["tissue"]), Code("85756007", "Tissue"), known=False)


def find_term(name: str) -> Term:
    """Return the meaning of a label's name; Tissue with `known` False if the table lacks the name.

    Case, punctuation, text in brackets, words for a side, words such as 'bone', and a number after a structure
    without levels ('vertebra 3') are ignored.

    >>> term = find_term("Left iliac bone")
    >>> term.type.meaning, term.side.meaning
    ('Ilium', 'Left')
    """
    words = _words(name)
    side = _side(words)
    bare = [word for word in words if not any(word in group for group in _SIDE_WORDS.values())]
    table = _table()
    for candidate in (bare, bare[:-1] if bare and bare[-1].isdigit() else []):
        found = table.get(_key(candidate)) if candidate else None
        if found is not None:
            return Term(found.category, found.type, side)
    return Term(UNKNOWN.category, UNKNOWN.type, side, known=False)


@lru_cache(maxsize=1)
def _table() -> dict[tuple[str, ...], Term]:
    text = (files(__package__) / "terminology.csv").read_text(encoding="utf-8")
    found = {}
    for row in csv.DictReader(text.splitlines()):
        term = Term(
            Code(*CATEGORIES[row["category"]]), Code(row["code"], row["meaning"], row["scheme"])
        )
        for name in row["names"].split("|"):
            found[_key(_words(name))] = term
    return found


def _words(name: str) -> list[str]:
    """Split at characters that are neither letter nor digit, and between the words of camelCase."""
    plain = re.sub(r"\([^)]*\)|\[[^\]]*\]", " ", name)
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[左右])|(?=[左右])", " ", plain)
    return [word.lower() for word in re.findall(r"[^\W_]+", spaced)]


def _key(words: list[str]) -> tuple[str, ...]:
    """The words that distinguish structures; fillers count only if there are no others."""
    return tuple(word for word in words if word not in _FILLERS) or tuple(
        word for word in words if word not in ("of", "the", "and", "structure")
    )


def _side(words: list[str]) -> Code | None:
    sides = [side for side, group in _SIDE_WORDS.items() if group & set(words)]
    return Code(*_SIDES[sides[0]]) if len(sides) == 1 else None
