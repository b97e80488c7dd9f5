"""How other tools number structures, and which of their structures are the reference's labels.

The numbers are in numberings.csv; `SOURCES` states where each table is from.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files

_SEGMENTATOR = (
    "totalsegmentator/map_to_binary.py, https://github.com/wasserth/TotalSegmentator (0275d30)"
)
_SPINESEG = "https://github.com/neuropoly/totalspineseg"
#: Tool -> source of its numbers.
SOURCES = {
    "totalsegmentator": f"TotalSegmentator 2, task total: {_SEGMENTATOR}",
    "totalsegmentator-v1": f"TotalSegmentator 1, task total: {_SEGMENTATOR}, total_v1",
    "totalsegmentator-mr": f"TotalSegmentator 2, task total_mr: {_SEGMENTATOR}",
    "totalsegmentator-vertebrae-mr": f"TotalSegmentator 2, task vertebrae_mr: {_SEGMENTATOR}",
    "totalspineseg": f"TotalSpineSeg: README.md and tss_map.json, {_SPINESEG} (67f03f6)",
    "totalspineseg-2024": f"TotalSpineSeg before its renumbering: README.md, {_SPINESEG} (0284d94)",
    "verse": "VerSe: https://osf.io/b2wxj/wiki",
}

_SAME = {
    **dict.fromkeys(("vertebrae", "vertebras"), "vertebra"),
    **dict.fromkeys(("discs", "disk", "disks", "ivd", "ivds"), "disc"),
    **dict.fromkeys(("coxa", "coxae", "innominate"), "hip"),
    **dict.fromkeys(("l", "lt"), "left"),
    **dict.fromkeys(("r", "rt"), "right"),
}
#: Words that do not change which structure is meant.
_FILLING = frozenset({"bone", "os", "spinal", "intervertebral", "vertebra"})
_LEVEL = re.compile(r"[ctls]\d{1,2}")
Key = frozenset[str]


@cache
def read_numbering(tool: str) -> Mapping[int, str]:
    """Value -> structure of a tool in `SOURCES`.

    >>> read_numbering("totalsegmentator")[25]
    'sacrum'
    """
    text = files("nnunet_plugins.evaluation").joinpath("numberings.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return {int(row["value"]): row["name"] for row in rows if row["tool"] == tool}


def match(numbering: Mapping[int, str], labels: Iterable[str]) -> dict[int, str]:
    """Value -> the label that is the same structure, for the structures that have one.

    Spelling does not matter ("vertebrae_L5" is "L5"), sides do. All vertebrae together are a label "vertebrae", all
    discs "discs". The first sacral vertebra belongs to the sacrum unless it has a label.

    >>> match({25: "sacrum", 27: "vertebrae_L5", 77: "hip_left", 78: "hip_right"}, ["L5", "left hip bone"])
    {27: 'L5', 77: 'left hip bone'}
    """
    wanted = {key(label): label for label in labels}
    tool = {value: key(name) for value, name in numbering.items()}
    found: dict[int, str] = {}
    for value, structure in tool.items():
        label = wanted.get(structure)
        for whole in () if label else _wholes(structure):
            label = label or wanted.get(whole)
        if label:
            found[value] = label
    return found


def key(name: str) -> Key:
    """The words of a structure's name, in any order and spelling.

    >>> key("disc_L4_L5") == key("L4-L5") == key("IVD L4/L5"), key("hip_left") == key("Hip right")
    (True, False)
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    words = [re.sub(r"^th(?=\d)", "t", word) for word in re.findall(r"[^\W_]+", spaced)]
    words = [_SAME.get(word, word) for word in words]
    kept = frozenset(words) - _FILLING or frozenset(words)
    levels = {word for word in kept if _LEVEL.fullmatch(word)}
    if "s" in kept and levels:
        kept, levels = kept - {"s"} | {"s1"}, levels | {"s1"}
    return kept | {"disc"} if len(levels) == 2 else kept


def _wholes(structure: Key) -> list[Key]:
    """Larger structures that a structure belongs to."""
    if structure == {"s1"}:
        return [frozenset({"sacrum"})]
    levels = {word for word in structure if _LEVEL.fullmatch(word)}
    if len(structure) == 1 and levels:
        return [frozenset({"vertebra"})]
    return [frozenset({"disc"})] if "disc" in structure and len(levels) == 2 else []
