"""Read DICOM SEG onto the grid of its image, frame by frame at the position that each states.

A frame may be missing where a segment has no voxels, so frames alone do not give a regular volume;
the image's grid does.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from dataset_conversion.dicom.deflated import check_deflated
from dataset_conversion.dicom.elements import part
from dataset_conversion.dicom.multiframe import Geometry, frames
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import place
from dataset_conversion.io.label_maps import LabelMap
from dataset_conversion.io.library_warnings import quiet_pydicom
from dataset_conversion.io.segments import Reading, merge
from dataset_conversion.io.volumes import Header
from dataset_conversion.labels import folded

BINARY, LABELMAP = "BINARY", "LABELMAP"
ALIGNED = 0.1  # voxels: tolerance of a frame's corner relative to the image's grid


def read_segmentation(path: Path, grid: Header, how: Reading) -> LabelMap:
    """Read the segments of a DICOM SEG; values are the segment numbers.

    `grid` is that of the image (affine to LPS mm).

    Raises:
        DatasetError: damaged, fractional, unnamed or repeated segments, frames off the grid,
            overlapping segments without an order.
    """
    with quiet_pydicom():
        header, pixels = _parsed(path)
        kind = str(header.get("SegmentationType", "") or "").upper()
        if not kind or "SegmentSequence" not in header:
            raise DatasetError(f"{path}: the DICOM SEG is truncated or damaged; copy it again")
        if kind not in (BINARY, LABELMAP):
            raise DatasetError(
                f"{path}: a DICOM SEG of type {kind} (allowed: {BINARY}, {LABELMAP}); export "
                "the segmentation with one label per voxel"
            )
        values = _names(path, header)
        groups = frames(header, {})
        shared = header.get("SharedFunctionalGroupsSequence") or []
        own = header.get("PerFrameFunctionalGroupsSequence") or []
        numbers = [_number([group, *shared]) for group in own]
    if len(groups) != len(pixels):
        raise DatasetError(
            f"{path}: {len(pixels)} frames, but positions of {len(groups)}; export it again"
        )
    if kind == BINARY:
        stated = [number for number in numbers if number is not None]
        if len(stated) < len(pixels) or set(stated) - set(values.values()):
            raise DatasetError(f"{path}: frames without a known segment; export it again")
    placed = [
        _indices(group, plane, grid, path) for group, plane in zip(groups, pixels, strict=True)
    ]
    voxels = {
        name: partial(_voxels, number, kind, numbers, placed, grid)
        for name, number in values.items()
    }
    found = merge(grid.size[::-1], voxels, values, how, str(path))
    return LabelMap(place(found.array, grid.matrix), found.values, found.notes)


def _parsed(path: Path) -> tuple[Any, np.ndarray]:
    """Return the header and the pixels (frame, row, column)."""
    try:
        check_deflated(path)
        header: Any = pydicom.dcmread(path)
        if int(header.get("NumberOfFrames", 0) or 0) < 1:
            return header, np.zeros((0, 1, 1), np.uint8)
        pixels: np.ndarray = header.pixel_array
    except Exception as error:  # damaged bytes make pydicom and its decoders raise various errors
        raise DatasetError(
            f"{path}: the DICOM SEG cannot be read ({' '.join(str(error).split())[:120]}); copy or "
            "export it again"
        ) from error
    return header, pixels[None] if pixels.ndim == 2 else pixels


def _names(path: Path, header: Any) -> dict[str, int]:
    """Return segment label -> number; segment 0 of a label map is its background."""
    found: dict[str, int] = {}
    for item in header.get("SegmentSequence") or []:
        number = int(item.SegmentNumber)
        name = str(item.get("SegmentLabel", "") or "").strip()
        if number == 0:
            continue
        if not name or folded(name) in map(folded, found):
            raise DatasetError(
                f"{path}: segment {number} has the name {name!r}, blank or that of another; name the "
                "segments and export it again"
            )
        found[name] = number
    return found


def _number(groups: list[Any]) -> int | None:
    found = part(groups, "SegmentIdentificationSequence")
    return None if found is None else int(found.ReferencedSegmentNumber)


def _indices(frame: Geometry, plane: np.ndarray, grid: Header,
             path: Path) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return the image's indices (z, y, x) of a frame's non-zero pixels, and their values."""
    if frame.position is None or frame.orientation is None or frame.pixel is None:
        raise DatasetError(f"{path}: a frame without a position; export it again")
    across, down = np.reshape(frame.orientation, (2, 3))
    own = np.eye(4)[:, [0, 1, 3]]  # (column, row, 1) of the frame -> mm
    own[:3, 0], own[:3, 1], own[:3, 2] = (
        across * frame.pixel[1],
        down * frame.pixel[0],
        frame.position,
    )
    to_image = (np.linalg.inv(grid.matrix) @ own)[:3]
    steps = np.rint(to_image)
    rows, columns = plane.shape
    ends = np.array(
        [(0, 0, 1), (columns - 1, 0, 1), (0, rows - 1, 1), (columns - 1, rows - 1, 1)]
    ).T
    if (
        np.abs((to_image - steps) @ ends).max() > ALIGNED
        or (np.abs(steps[:, :2]).sum(0) != 1).any()
    ):
        raise DatasetError(
            f"{path}: a frame at {list(frame.position)} mm is not on the voxel grid of the image; export "
            "the segmentation in the image's own geometry"
        )
    row, column = np.nonzero(plane)
    index = (steps @ (column, row, np.ones(len(row)))).astype(int)
    if ((index < 0) | (index >= np.array(grid.size)[:, None])).any():
        raise DatasetError(
            f"{path}: its frame at {list(frame.position)} mm has voxels outside the image; is it the "
            "segmentation of another series?"
        )
    return index[::-1], plane[row, column]


def _voxels(number: int, kind: str, numbers: list[int | None],
            placed: list[tuple[np.ndarray, np.ndarray]], grid: Header) -> np.ndarray:  # fmt: skip
    """Return the voxels (z, y, x) of one segment."""
    result = np.zeros(grid.size[::-1], bool)
    for owner, (index, values) in zip(numbers, placed, strict=True):
        if kind == LABELMAP:
            result[tuple(index[:, values == number])] = True
        elif owner == number:
            result[tuple(index)] = True
    return result
