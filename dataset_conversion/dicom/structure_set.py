"""Read the contours of a DICOM RTSTRUCT onto the slices of its image.

A voxel belongs to a structure if its centre is inside the contours by the even-odd rule (a contour
in another one is a hole) or on a contour. A contour that is stored twice counts once; contours that cross
are ambiguous and refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from skimage.measure import grid_points_in_poly

from dataset_conversion.dicom.deflated import check_deflated
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import place
from dataset_conversion.io.label_maps import LabelMap
from dataset_conversion.io.library_warnings import quiet_pydicom
from dataset_conversion.io.segments import Reading, merge
from dataset_conversion.io.volumes import Header
from dataset_conversion.labels import folded

_PLANAR = "CLOSED_PLANAR"
_CLOSED = frozenset((_PLANAR, "CLOSEDPLANAR_XOR"))
_OFF = 0.1  # slices: largest distance of a contour's point from its slice
# Contours through the centres of voxels are stored with rounded coordinates: points are moved to the
# nearest of this many steps per voxel, so that the centres are on the contour again.
_STEPS = 32
_INSIDE = 1  # of `grid_points_in_poly`; 0 is outside, 2 and 3 are vertices and edges


def read_structure_set(path: Path, grid: Header, how: Reading) -> LabelMap:
    """Read the structures of an RTSTRUCT; values are their places in the file, from 1.

    `grid` is that of the image that the contours were drawn on (affine to LPS mm).

    Raises:
        DatasetError: damaged, open contours, contours between slices or outside the image, contours of
            one structure that cross, overlapping structures without an order.
    """
    structures = {
        name: contours for name, contours in _structures(path).items() if not how.drops(name)
    }
    to_image = np.linalg.inv(grid.matrix)
    values = {name: place for place, name in enumerate(structures, 1)}
    twice: set[str] = set()
    voxels = {
        name: partial(_filled, contours, to_image, grid, f"{path}: {name!r}", twice)
        for name, contours in structures.items()
    }
    found = merge(grid.size[::-1], voxels, values, how, str(path))
    notes = ("contours that are stored twice are read once",) if twice else ()
    return LabelMap(place(found.array, grid.matrix), found.values, (*found.notes, *notes))


def _structures(path: Path) -> dict[str, list[tuple[str, np.ndarray]]]:
    """Return name -> type and points (n, 3; LPS mm) of its contours."""
    try:
        with quiet_pydicom():
            check_deflated(path)
            header: Any = pydicom.dcmread(path, force=True)
            names = {
                int(roi.ROINumber): str(roi.get("ROIName", "") or "").strip()
                for roi in header.get("StructureSetROISequence") or []
            }
            drawn: dict[int, list[tuple[str, np.ndarray]]] = {number: [] for number in names}
            for item in header.get("ROIContourSequence") or []:
                drawn[int(item.ReferencedROINumber)] += [
                    (
                        str(contour.get("ContourGeometricType", "")),
                        np.array(contour.get("ContourData") or [], float).reshape(-1, 3),
                    )
                    for contour in item.get("ContourSequence") or []
                ]
    except Exception as error:  # damaged bytes make pydicom raise various errors
        raise DatasetError(
            f"{path}: the RTSTRUCT is damaged ({' '.join(str(error).split())[:120]}); copy or export "
            "it again"
        ) from error
    same = [folded(name) for name in names.values()]
    unclear = sorted(n for n in names.values() if same.count(folded(n)) > 1 or not n)
    if unclear:
        raise DatasetError(
            f"{path}: structures {unclear} have blank names or names of others; name the structures and "
            "export it again"
        )
    return {names[number]: contours for number, contours in drawn.items()}


def _filled(contours: Sequence[tuple[str, np.ndarray]], to_image: np.ndarray, grid: Header,
            who: str, twice: set[str]) -> np.ndarray:  # fmt: skip
    """Return the voxels (z, y, x) of one structure, which `twice` receives if a contour occurs again."""
    inside = np.zeros(grid.size[::-1], bool)
    edges: list[tuple[tuple[Any, ...], np.ndarray]] = []
    seen: set[frozenset[tuple[float, ...]]] = set()
    drawn: dict[int, list[tuple[tuple[slice, slice], np.ndarray]]] = {}
    for kind, points in contours:
        if not len(points):
            continue
        if kind.upper() not in _CLOSED:
            raise DatasetError(
                f"{who} has a contour of type {kind or 'unknown'}, which encloses no voxels (allowed: "
                "CLOSED_PLANAR); remove the structure, or leave it out with --rename 'NAME=background'"
            )
        index = (to_image @ np.c_[points, np.ones(len(points))].T)[:3].T
        corners = frozenset(map(tuple, np.rint(index * _STEPS).tolist()))
        if corners in seen:
            twice.add(who)
            continue
        seen.add(corners)
        z, box, found = _polygon(index, grid, who)
        if kind.upper() == _PLANAR:
            own = (box, found == _INSIDE)
            if any(_cross(own, other) for other in drawn.setdefault(z, [])):
                raise DatasetError(
                    f"{who} has contours that cross each other on slice {z + 1}, so that holes and islands are "
                    "not distinct; join or separate them, or export a label map"
                )
            drawn[z].append(own)
        where = (z, *box)
        inside[where] ^= found == _INSIDE
        edges.append((where, found > _INSIDE))
    for where, edge in edges:
        inside[where] |= edge
    return inside


def _cross(one: tuple[tuple[slice, slice], np.ndarray],
           other: tuple[tuple[slice, slice], np.ndarray]) -> bool:  # fmt: skip
    """Check whether two contours on a slice share voxels, and neither contains the other.

    Each has a box (rows, columns), and the voxels inside the contour there.
    """
    starts = [max(a.start, b.start) for a, b in zip(one[0], other[0], strict=True)]
    stops = [min(a.stop, b.stop) for a, b in zip(one[0], other[0], strict=True)]
    parts = [
        inside[tuple(slice(start - own.start, max(start, stop) - own.start)
                     for start, stop, own in zip(starts, stops, box, strict=True))]
        for box, inside in (one, other)
    ]  # fmt: skip
    shared = int(np.count_nonzero(parts[0] & parts[1]))
    return 0 < shared < min(int(np.count_nonzero(one[1])), int(np.count_nonzero(other[1])))


def _polygon(index: np.ndarray, grid: Header,
             who: str) -> tuple[int, tuple[slice, slice], np.ndarray]:  # fmt: skip
    """Return a contour's slice, its box (rows, columns) there, and where its voxels are.

    `index` are its points (n, 3) as image indices (x, y, z); `who` is for messages.
    """
    z = int(np.rint(np.median(index[:, 2])))
    off = float(np.abs(index[:, 2] - z).max())
    if off > _OFF:
        raise DatasetError(
            f"{who} has a contour {off:.2f} slices off the image's slices (allowed {_OFF:g}); was it drawn "
            "on another series? Export it for this series, or as a label map"
        )
    size = np.array(grid.size)
    index = np.rint(index * _STEPS) / _STEPS
    low, high = np.floor(index[:, :2].min(0)).astype(int), np.ceil(index[:, :2].max(0)).astype(int)
    if not 0 <= z < size[2] or (low < -1).any() or (high > size[:2]).any():
        raise DatasetError(
            f"{who} has a contour outside the image (slice {z + 1} of {size[2]}); was it drawn on another "
            "series? Export it for this series"
        )
    low, high = np.maximum(low, 0), np.minimum(high, size[:2] - 1)
    rows, columns = slice(low[1], high[1] + 1), slice(low[0], high[0] + 1)
    shape = (int(high[1] - low[1] + 1), int(high[0] - low[0] + 1))
    found: np.ndarray = grid_points_in_poly(shape, (index[:, :2] - low)[:, ::-1], binarize=False)
    return z, (rows, columns), found
