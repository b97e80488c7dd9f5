"""Read label maps: volumes, and .seg.nrrd of 3D Slicer with named segments in layers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import like, place
from dataset_conversion.io.label_names import HIGHEST, NO_RENAMES, Renames, translation
from dataset_conversion.io.mask_header import OPTION, take_grid
from dataset_conversion.io.nrrd_reader import no_sides
from dataset_conversion.io.segments import PLAIN, Merged, Reading, merge
from dataset_conversion.io.volumes import Header, Volume, header_of, read_volume
from dataset_conversion.labels import BACKGROUND, Labels, folded, histogram

ROUNDING = 1e-3
_ONE = np.zeros((1, 1, 1), np.uint8)
MOST_VALUES = 256  # with more distinct values it is not a label map


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


def read_mask(path: Path, grid: Header | None = None, how: Reading = PLAIN) -> LabelMap:
    """Read a label map.

    Args:
        path: the volume.
        grid: size and affine of the image, for masks without a position of their own: an empty
            segmentation of 3D Slicer, which has one voxel, and headers without orientation, if the
            user accepts these.
        how: the user's labels and choices.

    Raises:
        DatasetError: as `read_volume`; scale factors, fractions, negative values, more than 256
            distinct values, colour, overlapping segments, volumes without names.
    """
    volume = read_volume(path, stack=True, unplaced=grid is not None)
    if (volume.slope, volume.offset) != (1.0, 0.0):
        raise DatasetError(_scaled(path, volume))
    slicer = path.name.lower().endswith(".nrrd")
    segments = _segments(path, volume.fields) if slicer else []
    array = _integers(path, volume.raw)
    if is_slicer(path) and grid is not None and array.shape[:3] == (1, 1, 1) and not array.any():
        return empty(grid, [segment.name for segment in segments])
    if volume.lost and grid is not None:
        volume = _placed(path, volume, grid, how)
    if segments:
        found = _merged(path, array, segments, how)
        notes = (*volume.notes, *found.notes)
        return LabelMap(like(found.array, volume.grid), found.values, notes)
    if array.ndim != 3:
        found = _stacked(path, array, how)
        notes = (*volume.notes, *found.notes)
        return LabelMap(like(found.array, volume.grid), found.values, notes)
    unnamed = is_slicer(path) and not array.any()
    return LabelMap(like(array, volume.grid), {} if unnamed else None, volume.notes)


def _placed(path: Path, volume: Volume, grid: Header, how: Reading) -> Volume:
    """Return a volume without orientation on the image's grid, if the user accepts that."""
    z, y, x = volume.raw.shape[:3]
    if not how.ignore_header:
        same = (x, y, z) == grid.size
        fix = f", or pass {OPTION} if it has the voxels of its image" if same else ""
        raise DatasetError(f"{no_sides(path, volume.lost)}{fix}")
    note = take_grid(Header((x, y, z), header_of(volume.grid).matrix), grid, str(path), volume.lost)
    return replace(volume, grid=place(_ONE, grid.matrix), notes=(*volume.notes, note))


def empty(grid: Header, names: Sequence[str]) -> LabelMap:
    """Return an empty mask on a grid, with the names of segments that have no voxels."""
    zeros = np.zeros(grid.size[::-1], np.uint8)
    return LabelMap(place(zeros, grid.matrix), {name: i for i, name in enumerate(names, 1)})


def by_name(mask: LabelMap, labels: Labels, who: str, renames: Renames = NO_RENAMES) -> LabelMap:
    """Renumber a mask's segments to the values that the labels list; see `translation`."""
    known = translation(mask.segments, mask.values, labels, who, renames)
    if all(old == new for old, new in known.items()):
        return mask
    table = np.arange(HIGHEST + 1, dtype=np.uint16)
    for old, new in known.items():
        table[old] = new
    return LabelMap(
        like(table[sitk.GetArrayViewFromImage(mask.image)], mask.image), None, mask.notes
    )


def looks_like_labels(path: Path) -> bool:
    """Return whether a volume could be a label map.

    Raises:
        DatasetError: it cannot be read.
    """
    volume = read_volume(path, stack=True, unplaced=True)
    try:
        labels = _integers(path, volume.values)
    except DatasetError:
        return False
    return labels.ndim == 3 or int(labels.max(initial=0)) <= 1


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


def _merged(path: Path, array: np.ndarray, segments: list[_Segment],
            how: Reading) -> Merged:  # fmt: skip
    """Merge the layers (z, y, x, layer) into one map."""
    layers = array[..., None] if array.ndim == 3 else array
    blank = [f"{s.value} in layer {s.layer}" for s in segments if not s.name]
    if blank:
        raise DatasetError(
            f"{path}: segments without a name (value {', '.join(blank)}); name them in 3D Slicer"
        )
    names = [folded(segment.name) for segment in segments]
    twice = sorted({s.name for s in segments if names.count(folded(s.name)) > 1})
    if twice:
        raise DatasetError(
            f"{path}: segment names {twice} occur more than once; rename them in 3D Slicer"
        )
    if array.ndim == 3 and len({s.layer for s in segments}) > 1:
        raise DatasetError(
            f"{path}: segments are in several layers, but one layer is stored; save it again"
        )
    _check_all_named(path, layers, segments)
    values = {s.name: s.value for s in segments}
    if layers.shape[-1] == 1:
        return Merged(np.ascontiguousarray(layers[..., 0]), values, ())
    if len(set(values.values())) < len(values):
        values = {name: place for place, name in enumerate(values, 1)}
    voxels = {s.name: partial(_voxels, layers, s.layer, s.value) for s in segments}
    return merge(layers.shape[:3], voxels, values, how, str(path))


def _voxels(layers: np.ndarray, layer: int, value: int) -> np.ndarray:
    found: np.ndarray = layers[..., layer] == value
    return found


def _stacked(path: Path, array: np.ndarray, how: Reading) -> Merged:
    """Merge the volumes (z, y, x, volume) of a mask with one label per volume."""
    count = array.shape[-1]
    if int(array.max(initial=0)) > 1:
        raise DatasetError(
            f"{path}: {count} values per voxel (RGB, or a 4D mask?) of up to {array.max()}; a mask "
            "has one label per voxel, or one label per volume with the values 0 and 1: export a "
            "label map"
        )
    if len(how.volumes) != count:
        given = (
            f"--volumes has {len(how.volumes)} names" if how.volumes else "their names are unknown"
        )
        raise DatasetError(
            f"{path}: 4D with {count} volumes of 0 and 1 (or RGB): one label per volume, but {given}; to "
            f"merge them, pass --volumes with the {count} labels in the order of the volumes "
            f"({BACKGROUND} for one to leave out)"
        )
    # Volumes of one label are parts of it.
    parts: dict[str, list[int]] = {}
    for number, name in enumerate(how.volumes):
        parts.setdefault(name, []).append(number)
    voxels = {name: partial(_any, array, places) for name, places in parts.items()}
    values = {name: place for place, name in enumerate(parts, 1)}
    return merge(array.shape[:3], voxels, values, how, str(path))


def _any(array: np.ndarray, places: Sequence[int]) -> np.ndarray:
    found: np.ndarray = (array[..., list(places)] == 1).any(axis=-1)
    return found


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
