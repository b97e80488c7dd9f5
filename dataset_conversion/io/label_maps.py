"""Read label maps: volumes, and .seg.nrrd of 3D Slicer with named segments in layers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import like
from dataset_conversion.io.volumes import Volume, read_volume
from dataset_conversion.labels import Labels, histogram

ROUNDING = 1e-3
MOST_VALUES = 256  # with more distinct values it is not a label map
HIGHEST = 65535


@dataclass(frozen=True)
class LabelMap:
    """A mask as stored.

    Attributes:
        image: uint8 or uint16.
        segments: name -> value in this file; None without segments.
        notes: for the user.
    """

    image: sitk.Image
    segments: Mapping[str, int] | None
    notes: tuple[str, ...] = ()

    @cached_property
    def values(self) -> list[int]:
        """The values that occur, including 0."""
        return list(histogram(sitk.GetArrayViewFromImage(self.image)))


@dataclass(frozen=True)
class _Segment:
    name: str
    layer: int
    value: int


def is_slicer(path: Path) -> bool:
    """Return whether the file name is that of a 3D Slicer segmentation."""
    return path.name.lower().endswith(".seg.nrrd")


def read_mask(path: Path) -> LabelMap:
    """Read a label map.

    Raises:
        DatasetError: as `read_volume`; scale factors, fractions, negative values, more than 256
            distinct values, colour, overlapping segments.
    """
    volume = read_volume(path)
    if (volume.slope, volume.offset) != (1.0, 0.0):
        raise DatasetError(_scaled(path, volume))
    segments = _segments(path, volume.fields) if path.name.lower().endswith(".nrrd") else []
    if volume.raw.ndim != 3 and not segments:
        raise DatasetError(
            f"{path}: {volume.raw.shape[-1]} values per voxel (RGB?); a mask has one label per voxel: "
            "export a label map"
        )
    array = _integers(path, volume.raw)
    named: dict[str, int] | None = None
    if segments:
        array, named = _merged(path, array, segments)
    return LabelMap(like(array, volume.grid), named, volume.notes)


def looks_like_labels(path: Path) -> bool:
    """Return whether a volume could be a label map.

    Raises:
        DatasetError: it cannot be read.
    """
    volume = read_volume(path)
    if volume.raw.ndim != 3:
        return False
    try:
        _integers(path, volume.values)
    except DatasetError:
        return False
    return True


def by_name(mask: LabelMap, labels: Labels, who: str) -> LabelMap:
    """Renumber a mask's segments to the values that the labels list; see `translation`."""
    known = translation(mask.segments, mask.values, labels, who)
    if all(old == new for old, new in known.items()):
        return mask
    table = np.arange(HIGHEST + 1, dtype=np.uint16)
    for old, new in known.items():
        table[old] = new
    return LabelMap(
        like(table[sitk.GetArrayViewFromImage(mask.image)], mask.image), None, mask.notes
    )


def translation(segments: Mapping[str, int] | None, used: Collection[int], labels: Labels,
                who: str) -> dict[int, int]:  # fmt: skip
    """Map a file's segment values to the values that the labels list for their names.

    Names are compared without case. If no name matches, or there are none, the result is empty:
    the values of the file apply.

    Args:
        segments: name -> value in the file.
        used: values that occur in the file.
        labels: names and values to use.
        who: the case, for messages.

    Raises:
        DatasetError: some names match, but another one has voxels and is not dropped.
    """
    listed = {name.strip().casefold(): v for name, v in labels.names.items() if isinstance(v, int)}
    found = {n: listed.get(n.strip().casefold()) for n in segments or {}}
    if segments is None or all(value is None for value in found.values()):
        return {}
    result, unknown = {}, []
    for name, old in segments.items():
        new = found[name]
        result[old] = 0 if new is None else new
        if new is None and old in used and old not in labels.drop:
            unknown.append(name)
    if unknown:
        drops = " ".join(str(segments[name]) for name in unknown)
        raise DatasetError(
            f"{who}: segments {unknown} are not listed (known: {', '.join(labels.names)}); add "
            f"them to the labels file, or pass --drop {drops} to send them to background"
        )
    return result


def labels_of(segments: Iterable[Mapping[str, int]], drop: tuple[int, ...] = ()) -> Labels:
    """Return labels for the segments of many files, matched by name (without case).

    They are ordered by the lowest value that any file gives a name, then by name, so the order of
    the files does not matter.
    """
    lowest: dict[str, int] = {}
    spelling: dict[str, set[str]] = {}
    for file in segments:
        for name, value in file.items():
            if value in drop:
                continue
            key = name.strip().casefold()
            lowest[key] = min(value, lowest.get(key, value))
            spelling.setdefault(key, set()).add(name.strip())
    order = sorted(lowest, key=lambda key: (lowest[key], key))
    # A dropped value stays unused, so that it still means what the user dropped.
    free = (value for value in range(1, HIGHEST) if value not in drop)
    return Labels({min(spelling[key]): next(free) for key in order}, drop=drop)


def _integers(path: Path, raw: np.ndarray) -> np.ndarray:
    """Return values that are labels up to rounding as uint8 or uint16."""
    rounded = np.rint(raw) if raw.dtype.kind == "f" else raw
    if raw.dtype.kind == "f":
        off = float(np.abs(raw - rounded).max(initial=0.0))
        if off > ROUNDING:
            at = raw[np.abs(raw - rounded) > ROUNDING]
            raise DatasetError(
                f"{path}: not a label map: {at.size} voxels have fractions such as {at[0]:.4g} "
                f"(allowed {ROUNDING:g}); resample masks with nearest neighbour"
            )
    low, high = (
        (0, 0) if raw.dtype == np.uint8 else (rounded.min(initial=0), rounded.max(initial=0))
    )
    if low < 0 or high > HIGHEST:
        raise DatasetError(
            f"{path}: not a label map: values from {low:g} to {high:g} (allowed 0 to {HIGHEST}); is "
            "this an image?"
        )
    labels = raw if raw.dtype == np.uint8 else rounded.astype(np.uint16)
    count = 0 if raw.dtype == np.uint8 else len(histogram(labels))
    if count > MOST_VALUES:
        raise DatasetError(
            f"{path}: not a label map: {count} distinct values (allowed {MOST_VALUES}); if it is an "
            "image, rename it or change --mask-pattern"
        )
    return labels


def _scaled(path: Path, volume: Volume) -> str:
    raw = np.unique(volume.raw)[:6]
    scaled = raw.astype(float) * volume.slope + volume.offset
    return (
        f"{path}: a mask with scale factors (scl_slope {volume.slope:g}, scl_inter "
        f"{volume.offset:g}): stored values {_list(raw)} mean {_list(scaled)}, so the labels are "
        "ambiguous; save the mask with slope 1"
    )


def _list(values: np.ndarray) -> str:
    return "[" + ", ".join(f"{float(v):g}" for v in values) + "]"


def _segments(path: Path, fields: Mapping[str, str]) -> list[_Segment]:
    """Read the Segment<i>_ fields; before Slicer 4.11 each segment has its own layer, with value 1."""
    numbers = sorted({int(m[1]) for key in fields if (m := re.match(r"Segment(\d+)_ID$", key))})
    try:
        return [
            _Segment(
                name=fields.get(f"Segment{i}_Name", fields[f"Segment{i}_ID"]).strip(),
                layer=int(fields.get(f"Segment{i}_Layer", i)),
                value=int(fields.get(f"Segment{i}_LabelValue", 1)),
            )
            for i in numbers
        ]
    except ValueError as error:
        raise DatasetError(
            f"{path}: its list of segments is damaged ({error}); save it again in 3D Slicer"
        ) from error


def _merged(path: Path, array: np.ndarray,
            segments: list[_Segment]) -> tuple[np.ndarray, dict[str, int]]:  # fmt: skip
    """Merge the layers (z, y, x, layer) into one map; segments may not overlap."""
    layers = array[..., None] if array.ndim == 3 else array
    names = [segment.name.casefold() for segment in segments]
    twice = sorted({s.name for s in segments if names.count(s.name.casefold()) > 1})
    if twice:
        raise DatasetError(
            f"{path}: segment names {twice} occur more than once; rename them in 3D Slicer"
        )
    if array.ndim == 3 and len({s.layer for s in segments}) > 1:
        raise DatasetError(
            f"{path}: segments are in several layers, but one layer is stored; save it again"
        )
    _check_all_named(path, layers, segments)
    if layers.shape[-1] == 1:
        return np.ascontiguousarray(layers[..., 0]), {s.name: s.value for s in segments}
    values = [segment.value for segment in segments]
    clash = len(set(values)) < len(values)
    merged = np.zeros(layers.shape[:3], np.uint16)
    named: dict[str, int] = {}
    for place, segment in enumerate(segments, 1):
        here = layers[..., segment.layer] == segment.value
        taken = merged[here]
        if taken.any():
            other = next(n for n, v in named.items() if v == taken[taken > 0][0])
            raise DatasetError(
                f"{path}: segments {other!r} and {segment.name!r} overlap in "
                f"{int((taken > 0).sum())} voxels; in 3D Slicer's Segment Editor set Masking, "
                "Modify other segments: Overwrite all, and correct them"
            )
        named[segment.name] = place if clash else segment.value
        merged[here] = named[segment.name]
    return merged, named


def _check_all_named(path: Path, layers: np.ndarray, segments: list[_Segment]) -> None:
    for layer in range(layers.shape[-1]):
        known = {segment.value for segment in segments if segment.layer == layer}
        unknown = sorted({int(v) for v in np.unique(layers[..., layer])} - known - {0})
        if unknown:
            raise DatasetError(
                f"{path}: values {unknown} in layer {layer} belong to no segment of its header; "
                "save the segmentation again in 3D Slicer"
            )
    beyond = [s.name for s in segments if s.layer >= layers.shape[-1]]
    if beyond:
        raise DatasetError(f"{path}: the layers of segments {beyond} are missing; save it again")
