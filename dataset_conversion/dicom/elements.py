"""Look up the attributes of a pydicom dataset quickly: few of them differ between slices."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.tag import BaseTag, Tag

_TAGS: dict[str, BaseTag] = {}
# Neither text, which depends on the file's character set, nor sequences, nor decimal strings.
_PLAIN = frozenset(("SOPClassUID", "Modality", "ImageType", "SeriesInstanceUID", "StudyInstanceUID",
                    "SamplesPerPixel", "NumberOfFrames", "Rows", "Columns", "BitsAllocated",
                    "PixelRepresentation", "PhotometricInterpretation"))  # fmt: skip
_TEXT = frozenset(("CS", "DS", "IS", "SH", "LO", "TM", "DT", "UI"))
_ESCAPE = 0x1B


def tag_of(name: str) -> BaseTag:
    """Return the tag of a DICOM keyword; pydicom's look-up by name takes three times as long."""
    if name not in _TAGS:
        _TAGS[name] = Tag(name)
    return _TAGS[name]


def value(holder: Any, name: str, default: Any = None) -> Any:
    """Return the value of an attribute.

    pydicom's look-up by name takes three times as long and converts the bytes again for every
    slice, although most attributes are the same in all slices of a series.
    """
    tag = tag_of(name)
    found = holder.get_item(tag)
    if found is None:
        return default
    if isinstance(found, RawDataElement) and (name in _PLAIN or _ascii(found)):
        return _value_of(found._replace(value_tell=0))
    return holder[tag].value


def text(holder: Any, name: str) -> str:
    """Return an attribute as text, several values separated by backslashes; '' if there is none.

    Numbers are not converted, so an invalid one does not raise an error.
    """
    tag = tag_of(name)
    found = holder.get_item(tag)
    if found is None or found.value is None:
        return ""
    stored = found.value
    if isinstance(found, RawDataElement) and isinstance(stored, bytes):
        if (found.VR or dictionary_VR(tag)) in _TEXT and stored.isascii() and _ESCAPE not in stored:
            return _joined(stored.decode("ascii").split("\\"))
        try:
            stored = holder[tag].value
        except Exception:  # damaged bytes make pydicom raise various errors
            return ""
    several = not isinstance(stored, str | bytes) and hasattr(stored, "__iter__")
    return _joined([str(item) for item in (stored if several else [stored])])


def part(groups: Sequence[Any], name: str) -> Any:
    """Return the first item of a sequence in the first functional group that has it."""
    for group in groups:
        if found := group.get(name):
            return found[0]
    return None


def _joined(items: Sequence[str]) -> str:
    return "\\".join(item.strip(" \0") for item in items)


def _ascii(found: RawDataElement) -> bool:
    """Check whether a text is the same in every character set."""
    if found.VR not in ("SH", "LO", "CS", "UI") or not isinstance(found.value, bytes):
        return False
    return found.value.isascii() and _ESCAPE not in found.value


@lru_cache(maxsize=4096)
def _value_of(raw: RawDataElement) -> Any:
    return convert_raw_data_element(raw).value
