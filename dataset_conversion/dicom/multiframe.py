"""Position, rescaling and volume of each frame of an enhanced (multi-frame) DICOM file.

Attributes common to all frames are in the shared functional group, others in one group per frame;
any attribute may be in either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dataset_conversion.dicom.decimals import Decimals, read_decimals
from dataset_conversion.dicom.elements import part, value
from dataset_conversion.dicom.traits import traits_of_frame

#: Attributes that are read as decimals -> how many numbers they have.
DECIMALS = {"ImagePositionPatient": 3, "ImageOrientationPatient": 6, "PixelSpacing": 2,
            "RescaleSlope": 1, "RescaleIntercept": 1, "SliceThickness": 1}  # fmt: skip
_OPTIONAL = "SliceThickness"  # only distinguishes volumes
# Some files have these only outside the functional groups.
_ABOVE = ("PixelSpacing", "RescaleSlope", "RescaleIntercept")
_SEQUENCES = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "SliceThickness": "PixelMeasuresSequence",
}


@dataclass(frozen=True)
class Geometry:
    """Fields of a `Slice` that may differ between frames; geometry is None if the header lacks it."""

    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel: tuple[float, ...] | None
    slope: float
    offset: float
    thickness: float = 0.0
    units: tuple[float, ...] = (0.0, 0.0, 0.0)
    commas: tuple[str, ...] = ()
    bad: tuple[tuple[str, str], ...] = ()
    traits: Mapping[str, str] = field(default_factory=dict)


def frames(header: Any, traits: Mapping[str, str]) -> list[Geometry]:
    """Return all frames; an empty list if the header has no functional groups.

    `traits` are those of the file; those of a frame replace them.
    """
    own = value(header, "PerFrameFunctionalGroupsSequence") or []
    shared = value(header, "SharedFunctionalGroupsSequence") or []
    if len(own) != int(value(header, "NumberOfFrames", 1) or 1):
        return []
    common = {name: read_decimals(header, name, count) for name, count in DECIMALS.items()
              if name in _ABOVE}  # fmt: skip
    return [_frame([group, *shared], common, {**traits, **traits_of_frame([group, *shared], number)})
            for number, group in enumerate(own, start=1)]  # fmt: skip


def geometry(header: Any, traits: Mapping[str, str]) -> Geometry:
    """Return the geometry and rescaling of a file with one image."""
    return _geometry(
        {name: read_decimals(header, name, count) for name, count in DECIMALS.items()}, traits
    )


def _frame(groups: list[Any], common: Mapping[str, Decimals | None],
           traits: Mapping[str, str]) -> Geometry:  # fmt: skip
    found = {name: read_decimals(part(groups, _SEQUENCES[name]), name, count)
             for name, count in DECIMALS.items()}  # fmt: skip
    return _geometry({name: item or common.get(name) for name, item in found.items()}, traits)


def _geometry(found: Mapping[str, Decimals | None], traits: Mapping[str, str]) -> Geometry:
    numbers = {name: item.values for name, item in found.items() if item and item.bad is None}
    needed = {name: item for name, item in found.items() if item and name != _OPTIONAL}
    position = found["ImagePositionPatient"]
    return Geometry(
        position=numbers.get("ImagePositionPatient"),
        orientation=numbers.get("ImageOrientationPatient"),
        pixel=numbers.get("PixelSpacing"),
        slope=numbers.get("RescaleSlope", (1.0,))[0] or 1.0,  # as ITK
        offset=numbers.get("RescaleIntercept", (0.0,))[0],
        thickness=numbers.get(_OPTIONAL, (0.0,))[0],
        units=position.units if position and position.units else (0.0, 0.0, 0.0),
        commas=tuple(name for name, item in needed.items() if item.comma and not item.bad),
        bad=tuple((name, item.bad) for name, item in needed.items() if item.bad),
        traits=traits,
    )
