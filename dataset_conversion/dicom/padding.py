"""Replace a DICOM series' padding: PixelPaddingValue, and all values up to PixelPaddingRangeLimit.

Scanners fill what is outside the field of view with a value that is not a measurement, such as
63536 or -2000. In CT it becomes -1024 HU: the lowest value of the 12 bits that most scanners
store, so air, and a series that is padded with it stays as it is. In other modalities it
becomes 0, which nnU-Net takes as outside.

The header may be wrong. A value that can be a measurement is never changed, only reported: in CT
from -1024 to 3071 HU, in other modalities from the lowest to the highest of the other values,
and above them up to half as much again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk
from pydicom.dataelem import RawDataElement

from dataset_conversion.dicom.elements import tag_of, value
from dataset_conversion.io.geometry import like

if TYPE_CHECKING:
    from dataset_conversion.dicom.headers import Slice

AIR_HU = -1024.0
_CT_RANGE = (-1024.0, 3071.0)
_AIR_BELOW = -900.0  # HU that need no report
_ABOVE = 1.5  # a padding above all other values is at least this many times the highest


@dataclass(frozen=True)
class Padding:
    """Lowest and highest stored value that are padding, as the pixels represent them."""

    low: int
    high: int


def padding_of(header: Any) -> Padding | None:
    """Read PixelPaddingValue and PixelPaddingRangeLimit; None without the former.

    Either may be written as signed or unsigned, whatever the pixels are: both are taken as the
    pixels' bits.
    """
    ends = [_stored(header, name) for name in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    if ends[0] is None:
        return None
    bits = int(value(header, "BitsAllocated", 16) or 16)
    signed = bool(int(value(header, "PixelRepresentation", 0) or 0))
    pixels = [_as_pixel(end, bits, signed) for end in ends if end is not None]
    return Padding(min(pixels), max(pixels))


def without_padding(
    image: sitk.Image, slices: Sequence[Slice]
) -> tuple[sitk.Image, tuple[str, ...]]:
    """Return a volume without the padding that its slices declare, and notes on it.

    Args:
        image: rescaled values (for CT: HU).
        slices: in the order of the volume; each has its own padding and rescaling.
    """
    array = sitk.GetArrayViewFromImage(image)
    declared = {item.padding for item in slices} - {None}
    # One value, and slices without any: their headers lack it.
    common = next(iter(declared)) if len(declared) == 1 else None
    found = {index: mask for index, item in enumerate(slices)
             if (padding := item.padding or common) is not None
             and (mask := _padded(array[index], item, padding)).any()}  # fmt: skip
    if not found:
        return image, ()
    ct = _is_ct(slices)
    air = AIR_HU if ct else 0.0
    low, high = _CT_RANGE if ct else _range(array, found)
    values = np.array(array)
    changed, kept = 0, 0
    for index, mask in found.items():
        plane = values[index]
        outside = mask & ((plane < low) | (plane > high)) & (plane != air)
        nothing = plane <= _AIR_BELOW if ct else plane == air
        changed += int(outside.sum())
        kept += int((mask & ~outside & ~nothing).sum())
        plane[outside] = air
    notes = []
    if changed:
        notes.append(
            f"padding (PixelPaddingValue) set to {air:g}{' HU' if ct else ''}: "
            f"{_percent(changed, values.size)} of the voxels"
        )
    if kept:
        notes.append(
            f"PixelPaddingValue is a plausible measurement ({_percent(kept, values.size)} of the "
            "voxels): these voxels are left as they are"
        )
    return (like(values, image) if changed else image), tuple(notes)


def _stored(header: Any, name: str) -> int | None:
    """Return a number of two bytes, whatever its VR: files with implicit VR do not state the sign."""
    tag = tag_of(name)
    found = header.get_item(tag)
    if found is None or found.value is None or found.value == b"":
        return None
    if isinstance(found, RawDataElement):
        if not isinstance(found.value, bytes) or len(found.value) not in (2, 4):
            return None
        return int.from_bytes(found.value, "little" if found.is_little_endian else "big")
    return int(found.value) if isinstance(found.value, int) else None


def _as_pixel(number: int, bits: int, signed: bool) -> int:
    """Return a number as a pixel of so many bits.

    >>> _as_pixel(63536, 16, True), _as_pixel(-2000, 16, False)
    (-2000, 63536)
    """
    number %= 1 << max(bits, 16)
    return number - (1 << max(bits, 16)) if signed and number >> (max(bits, 16) - 1) else number


def _padded(plane: np.ndarray, item: Slice, padding: Padding) -> np.ndarray:
    """Mark the padding of a slice by its rescaled values, to a quarter of a stored unit."""
    ends = [end * item.slope + item.offset for end in (padding.low, padding.high)]
    margin = abs(item.slope) / 4
    marked: np.ndarray = (plane >= min(ends) - margin) & (plane <= max(ends) + margin)
    return marked


def _is_ct(slices: Sequence[Slice]) -> bool:
    """Check for CT; without a Modality, by an intercept as CT has."""
    first = slices[0]
    return first.modality.upper() == "CT" or (not first.modality and first.offset <= -500)


def _range(array: np.ndarray, found: dict[int, np.ndarray]) -> tuple[float, float]:
    """Return the range of values that can be measurements, from all voxels without padding."""
    lows, highs = [], []
    for index, plane in enumerate(array):
        rest = plane[~found[index]] if index in found else plane
        if rest.size:
            lows.append(float(rest.min()))
            highs.append(float(rest.max()))
    if not lows:
        return -np.inf, np.inf
    return min(lows), max(highs) + (_ABOVE - 1) * abs(max(highs))


def _percent(count: int, total: int) -> str:
    share = 100 * count / total
    return f"{share:.1f} %" if share >= 0.05 else "less than 0.1 %"
