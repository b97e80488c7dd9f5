"""Position and rescaling of each frame of an enhanced (multi-frame) DICOM file.

Attributes common to all frames are in the shared functional group, others in one group per frame;
any attribute may be in either.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.tag import BaseTag, Tag

_TAGS: dict[str, BaseTag] = {}
# Neither text, which depends on the file's character set, nor sequences.
_PLAIN = frozenset(("SOPClassUID", "Modality", "ImageType", "SeriesInstanceUID", "SamplesPerPixel",
                    "NumberOfFrames", "Rows", "Columns", "BitsAllocated", "ImagePositionPatient",
                    "ImageOrientationPatient", "PixelSpacing", "PhotometricInterpretation",
                    "RescaleSlope", "RescaleIntercept"))  # fmt: skip


@dataclass(frozen=True)
class Frame:
    """Fields of a `Slice` that differ between frames; geometry is None if the header lacks it."""

    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel: tuple[float, ...] | None
    slope: float
    offset: float


def frames(header: Any) -> list[Frame]:
    """Return all frames; an empty list if the header has no functional groups."""
    own = value(header, "PerFrameFunctionalGroupsSequence") or []
    shared = value(header, "SharedFunctionalGroupsSequence") or []
    if len(own) != int(value(header, "NumberOfFrames", 1) or 1):
        return []
    return [_frame([group, *shared]) for group in own]


def value(holder: Any, name: str, default: Any = None) -> Any:
    """Return the value of an attribute.

    pydicom's look-up by name takes three times as long and converts the bytes again for every
    slice, although most attributes are the same in all slices of a series.
    """
    tag = _TAGS.get(name)
    if tag is None:
        tag = _TAGS[name] = Tag(name)
    found = holder.get_item(tag)
    if found is None:
        return default
    if isinstance(found, RawDataElement) and name in _PLAIN:
        return _value_of(found._replace(value_tell=0))
    return holder[tag].value


@lru_cache(maxsize=4096)
def _value_of(raw: RawDataElement) -> Any:
    return convert_raw_data_element(raw).value


def numbers(holder: Any, name: str, count: int) -> tuple[float, ...] | None:
    """Return an attribute of `count` finite numbers, None if it is anything else."""
    stored = None if holder is None else value(holder, name)
    if stored is None or isinstance(stored, str) or not hasattr(stored, "__len__"):
        return None
    found = tuple(float(v) for v in stored)
    return found if len(found) == count and np.isfinite(found).all() else None


def rescaling(holder: Any) -> tuple[float, float]:
    """Return slope and intercept; 1 and 0 if they are missing."""
    if holder is None:
        return 1.0, 0.0
    slope, intercept = value(holder, "RescaleSlope", 1), value(holder, "RescaleIntercept", 0)
    return float(1 if slope is None else slope), float(0 if intercept is None else intercept)


def _frame(groups: list[Any]) -> Frame:
    slope, offset = rescaling(part(groups, "PixelValueTransformationSequence"))
    return Frame(
        numbers(part(groups, "PlanePositionSequence"), "ImagePositionPatient", 3),
        numbers(part(groups, "PlaneOrientationSequence"), "ImageOrientationPatient", 6),
        numbers(part(groups, "PixelMeasuresSequence"), "PixelSpacing", 2),
        slope,
        offset,
    )


def part(groups: list[Any], name: str) -> Any:
    """Return the first item of a sequence in the first group that has it."""
    for group in groups:
        if found := group.get(name):
            return found[0]
    return None
