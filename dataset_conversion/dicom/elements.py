"""Look up the attributes of a pydicom dataset quickly: few of them differ between slices."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.tag import BaseTag, Tag

_TAGS: dict[str, BaseTag] = {}
# Neither text, which depends on the file's character set, nor sequences, nor decimal strings.
_PLAIN = frozenset(("SOPClassUID", "Modality", "ImageType", "SeriesInstanceUID", "StudyInstanceUID",
                    "SamplesPerPixel", "NumberOfFrames", "Rows", "Columns", "BitsAllocated",
                    "PixelRepresentation", "PhotometricInterpretation", "TemporalPositionIdentifier",
                    "ComplexImageComponent", "DiffusionBValue", "AcquisitionTime",
                    "ContentTime"))  # fmt: skip
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


def part(groups: Sequence[Any], name: str) -> Any:
    """Return the first item of a sequence in the first functional group that has it."""
    for group in groups:
        if found := group.get(name):
            return found[0]
    return None


def _ascii(found: RawDataElement) -> bool:
    """Check whether a text is the same in every character set."""
    plain = found.VR in ("SH", "LO", "CS", "UI") and isinstance(found.value, bytes)
    return plain and found.value.isascii() and _ESCAPE not in found.value


@lru_cache(maxsize=4096)
def _value_of(raw: RawDataElement) -> Any:
    return convert_raw_data_element(raw).value
