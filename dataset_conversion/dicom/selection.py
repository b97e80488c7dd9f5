r"""Choose one of several DICOM volumes by the text of --series, and list them with such texts.

A text is a part of the SeriesDescription, the end of the series UID, an attribute
('EchoTime=2.4', 'ImageType=W', 'ConvolutionKernel=none' if it is missing), 'acquisition 2',
'echo 1', 'stack 1', 'phase 1', or a plane ('axial'). Several are joined by commas. An attribute
with '*' ('AcquisitionNumber=*') does not separate volumes.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

import numpy as np

from dataset_conversion.dicom.headers import Slice
from dataset_conversion.dicom.slice_geometry import stack_of
from dataset_conversion.dicom.splits import interleaved
from dataset_conversion.dicom.traits import COUNTING, DEFINING, shown
from dataset_conversion.dicom.volumes_in_series import Part, separate

MOST_LISTED, MOST_TRAITS = 12, 4
NONE, PHASE = "none", "phase"
_NAMES = {name.casefold(): name for name in (*DEFINING, *COUNTING, PHASE)}
_SHORT = {"acquisition": "AcquisitionNumber", "echo": "EchoNumbers", "kernel": "ConvolutionKernel",
          "series": "SeriesNumber"}  # fmt: skip
_PLANES = ("sagittal", "coronal", "axial")


def split_text(text: str | None) -> tuple[str | None, frozenset[str]]:
    """Return a text without the attributes that do not separate volumes, and these.

    >>> split_text("bone, AcquisitionNumber=*")
    ('bone', frozenset({'AcquisitionNumber'}))
    """
    if text is None:
        return None, frozenset()
    terms = [term.strip() for term in text.split(",")]
    names = {term: _NAMES.get(term.removesuffix("=*").strip().casefold())
             for term in terms if term.endswith("=*")}  # fmt: skip
    together = frozenset(name for name in names.values() if name)
    if not together:
        return text, together
    return ", ".join(t for t in terms if not names.get(t)) or None, together


def matching(parts: Sequence[Part], text: str) -> list[Part]:
    """Return the parts that match a text as a whole, else those that match each of its terms."""
    found = _matching_term(parts, text.strip())
    terms = [term.strip() for term in text.split(",") if term.strip()]
    if found or len(terms) < 2:
        return found
    by_term = [_matching_term(parts, term) for term in terms]
    return [part for part in parts if all(part in group for group in by_term)]


def choice(part: Part, among: Sequence[Part]) -> str | None:
    """Return the shortest text that chooses a part; attributes first, as they suit all patients."""
    terms = list(_terms(part, among))
    for count in (1, 2, 3):
        for several in itertools.combinations(terms, count):
            text = ", ".join(several)
            if matching(among, text) == [part]:
                return text
    uid = part.first.uid[-12:]
    return uid if uid and matching(among, uid) == [part] else None


def listed(parts: Sequence[Part], among: Sequence[Part]) -> str:
    """Describe parts, each with a text that chooses it among others."""
    entries = []
    for part in parts[:MOST_LISTED]:
        term = choice(part, among)
        chosen = f": --series {quoted(term)}" if term else ""
        entries.append(described(part, parts) + chosen)
    more = len(parts) - MOST_LISTED
    return "; ".join(entries) + (f"; and {more} more" if more > 0 else "")


def ambiguous(parts: Sequence[Part], known: Sequence[Part]) -> str:
    """Describe several of all known parts, and how to choose one."""
    if len({part.series for part in parts}) > 1:
        return (
            f"{len(parts)} DICOM series, expected one; found: {listed(parts, known)}; choose with "
            "--series TEXT (part of the description, the end of the UID, or an attribute)"
        )
    names = differences(parts)
    stacks = set(names) <= {"orientation", "matrix", "PixelSpacing", "position"}
    kind = "stacks" if stacks else "volumes"
    return (
        f"one DICOM series with {len(parts)} {kind} (different {', '.join(names)}), expected one; found: "
        f"{listed(parts, known)}; choose one with --series{_joined(parts, names)}"
    )


def described(part: Part, among: Sequence[Part] = ()) -> str:
    """Describe a part: its slices, matrix, description, UID, plane, and what others of its series differ in."""
    first = part.first
    size = f"{first.matrix[0]}x{first.matrix[1]}"
    name = repr(first.description) if first.description else "without description"
    uid = f"UID ..{first.uid[-8:]}" if first.uid else "no UID"
    facts = [f"{part.uids} UIDs" if part.uids > 1 else uid, _facing(first)]
    others = [other for other in among if other.series == part.series and other is not part]
    if others and len(others) == len(among) - 1:
        facts = facts[1:]  # all are of one series
    facts += [f"{name} {part.trait(name) or NONE}" for name in (*DEFINING, *COUNTING)
              if name != "SeriesDescription" and _differs(part, others, name)][:MOST_TRAITS]  # fmt: skip
    return f"{len(part.slices)} slices of {size} {name} ({', '.join(facts)})"


def differences(parts: Sequence[Part]) -> list[str]:
    """Return the names of what differs between parts of one series."""
    found = []
    if not all(_same(part.first.orientation, parts[0].first.orientation) for part in parts):
        found.append("orientation")
    if len({part.first.matrix for part in parts}) > 1:
        found.append("matrix")
    if not all(_same(part.first.pixel, parts[0].first.pixel) for part in parts):
        found.append("PixelSpacing")
    names = [n for n in (*DEFINING, *COUNTING) if len({part.trait(n) for part in parts}) > 1]
    found += names[:MOST_TRAITS]
    if not found and any(part.stack for part in parts):
        found.append("position")
    return found or ["time"]


def _joined(parts: Sequence[Part], names: Sequence[str]) -> str:
    """Return how to use all parts as one volume, if they form one."""
    if names == ["position"]:
        return ", or copy the missing slices if this is one stack"
    every = [item for part in parts for item in part.slices]
    if any(part.stack != parts[0].stack for part in parts) or not stack_of(every).even:
        return ""
    if not set(names) <= {*COUNTING, "time"} and interleaved([part.slices for part in parts]):
        return ""
    joined = [PHASE if name == "time" else name for name in names]
    for several in (joined, [*joined, PHASE]):
        if len(separate(every, several)) == 1:
            text = ", ".join(f"{name}=*" for name in several)
            return f", or take all slices as one volume with --series {quoted(text)}"
    return ""


def _terms(part: Part, among: Sequence[Part]) -> Iterator[str]:
    """Return texts that a part matches and others may not."""
    others = [other for other in among if other.series == part.series and other is not part]
    if part.first.description and len({p.first.description for p in among}) > 1:
        yield part.first.description
    if part.trait("AcquisitionNumber") and _differs(part, others, "AcquisitionNumber"):
        yield f"acquisition {part.trait('AcquisitionNumber')}"
    for name in (*DEFINING, *COUNTING):
        if name != "AcquisitionNumber" and _differs(part, others, name):
            yield f"{name}={_value(part, others, name)}"
    if _plane(part.first):
        yield _plane(part.first)
    if part.stack:
        yield f"stack {part.stack}"
    if part.phase:
        yield f"phase {part.phase}"
    if part.first.number:
        yield f"SeriesNumber={part.first.number}"


def _differs(part: Part, others: Sequence[Part], name: str) -> bool:
    own = part.trait(name)
    return own is not None and any(other.trait(name) != own for other in others)


def _value(part: Part, others: Sequence[Part], name: str) -> str:
    """Return an attribute, of several values the first that no other part has."""
    own = part.trait(name) or NONE
    theirs = {value for other in others for value in (other.trait(name) or "").split("\\")}
    return next((value for value in own.split("\\") if value and value not in theirs), own)


def _matching_term(parts: Sequence[Part], term: str) -> list[Part]:
    low = term.casefold()
    named = [p for p in parts if low in p.first.description.casefold()
             or any(item.uid and item.uid.endswith(term) for item in p.slices)]  # fmt: skip
    return named or [part for part in parts if _has(part, low)]


def _has(part: Part, term: str) -> bool:
    """Check a term in lower case that is neither a description nor a UID."""
    name, equals, wanted = (piece.strip() for piece in term.partition("="))
    counted = re.fullmatch(r"(\w+) +(\S+)", term)
    if not equals and counted:
        name, wanted = counted.groups()
        if name in ("stack", "phase"):
            return wanted == str(getattr(part, name))
        name = _SHORT.get(name, "").casefold()
    if not name or name not in _NAMES:
        return term == _plane(part.first)
    return _holds(part, _NAMES[name], wanted)


def _holds(part: Part, name: str, wanted: str) -> bool:
    own = part.trait(name)
    if own is None:
        return False
    if not own:
        return wanted == NONE
    text = own.casefold()
    return shown(name, wanted) in (text, *text.split("\\")) or wanted == text


def _facing(item: Slice) -> str:
    if item.orientation is None:
        return "no orientation"
    normal = np.abs(np.cross(item.orientation[:3], item.orientation[3:]))
    angle = np.degrees(np.arccos(min(1.0, float(normal.max() / (np.linalg.norm(normal) or 1)))))
    return _plane(item) + (f" at {angle:.0f} degrees" if angle >= 0.5 else "")


def _plane(item: Slice) -> str:
    if item.orientation is None:
        return ""
    return _PLANES[int(np.abs(np.cross(item.orientation[:3], item.orientation[3:])).argmax())]


def _same(a: tuple[float, ...] | None, b: tuple[float, ...] | None) -> bool:
    if a is None or b is None:
        return a is b
    return bool(np.allclose(a, b, atol=1e-3))


def quoted(text: str) -> str:
    """Quote for a POSIX shell.

    >>> quoted("EchoTime=2.4")
    "'EchoTime=2.4'"
    """
    return "'" + text.replace("'", "'\"'\"'") + "'"
