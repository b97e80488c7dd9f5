"""STL meshes: one closed surface per label, in mm, with the volume of its mask.

Marching cubes at level 0.5 chamfers every edge and reduces the volume of thin structures; smoothing reduces it
further. The level is therefore chosen such that the final surface encloses the mask's volume.

The volume that the edges of a thin structure lose would move its faces outwards, by up to half a slice where slices
are thick. Parts of one or two voxels along an axis are therefore meshed separately, if necessary on voxels that are
split into nearly cubic ones: their surface lies at most half of the smallest voxel edge outside of their voxels. The
header of a file states how far its surface lies outside of the voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import find_objects, label

from dataset_conversion.io.geometry import affine
from nnunet_plugins.atomic_files import placed
from nnunet_plugins.errors import UserError
from nnunet_plugins.export.errors import UnequalError
from nnunet_plugins.export.outside import farthest_outside
from nnunet_plugins.optional_imports import need

TOLERANCE = 0.02  # largest relative difference from the mask's volume
_AIM = 0.005  # the search for a level ends here
_TRIALS = 12
_THIN = 2  # voxels along an axis
_MOST_PARTS = 100  # that are meshed separately; further ones are meshed with the rest
_MOST_FINE = 20_000_000  # voxels of a part after splitting
#: 3D Slicer reads the coordinate system from this header. At most 80 bytes with the distance that follows.
HEADER = b"SPACE=LPS nnunet-plugins, mm"

_WHOLE = np.ones(3, int)
Ways = Sequence[
    tuple[int, np.ndarray]
]  # iterations of smoothing, and parts of a voxel along x, y, z


def write_stl(target: Path, mask: np.ndarray, image: sitk.Image, smoothing: int = 10) -> float:
    """Write a mask's surface as binary STL, read it back and compare.

    Points are in mm, LPS, which is 3D Slicer's default for STL; the header states it.

    Args:
        target: ends in .stl.
        mask: booleans (z, y, x), not empty; the surface is closed at the border.
        image: provides the geometry.
        smoothing: iterations of Taubin's filter; fewer if it would change the volume by more than 2 %.

    Returns:
        The surface's volume in mm3.

    Raises:
        UserError: a package is missing, or no surface has the mask's volume within 2 %.
    """
    trimesh = need("trimesh", "export", "STL")
    matrix = affine(image)
    volume = float(mask.sum()) * abs(float(np.linalg.det(matrix[:3, :3])))
    mesh = surface(mask, matrix, smoothing)
    far = outside(mesh, mask, matrix)
    with placed(target) as temporary:
        content = trimesh.exchange.stl.export_stl(mesh)
        header = HEADER + f", at most {far:.2f} mm outside of voxels".encode()
        temporary.write_bytes(header.ljust(80) + content[80:])
        found = trimesh.load_mesh(temporary, file_type="stl")
        if not found.is_watertight or not found.is_winding_consistent:
            raise UnequalError(target, "the surface is not closed")
        if abs(found.volume - volume) > TOLERANCE * volume:
            raise UnequalError(target, f"{found.volume:.1f} mm3, and the mask {volume:.1f}")
    return float(found.volume)


def surface(mask: np.ndarray, matrix: np.ndarray, smoothing: int = 10) -> Any:
    """Return the closed surface of a mask with the mask's volume and outward normals.

    Args:
        mask: booleans (z, y, x), not empty.
        matrix: 4 x 4, index (x, y, z) to LPS mm.
        smoothing: largest number of iterations of Taubin's filter.

    Raises:
        UserError: no surface has the volume within 2 %.

    >>> mask = np.zeros((6, 6, 6), bool)
    >>> mask[1:5, 1:5, 1:5] = True
    >>> round(float(surface(mask, np.eye(4), smoothing=0).volume) / 64, 2)
    1.0
    """
    trimesh = need("trimesh", "export", "STL")
    (box,) = find_objects(mask.astype(np.uint8))
    corner = np.array([part.start for part in box])
    thick, thin = _parts(mask[box])
    meshes = [_thin_surface(part, corner + place, matrix, smoothing) for part, place in thin]
    if thick.any():
        meshes.append(_surface(thick, corner, matrix, _ways(smoothing)))
    return trimesh.util.concatenate(meshes) if len(meshes) > 1 else meshes[0]


def outside(mesh: Any, mask: np.ndarray, matrix: np.ndarray) -> float:
    """Return how far a surface lies outside of the voxels of its mask at most, in mm."""
    index = (mesh.vertices - matrix[:3, 3]) @ np.linalg.inv(matrix[:3, :3]).T
    return farthest_outside(index[:, ::-1], mask.astype(bool), _edges(matrix)[::-1])


def _edges(matrix: np.ndarray) -> np.ndarray:
    """Edges of a voxel in mm, (x, y, z)."""
    edges: np.ndarray = np.linalg.norm(matrix[:3, :3], axis=0)
    return edges


def _parts(mask: np.ndarray) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Return the mask without its thin parts, and each thin part with the index (z, y, x) of its corner.

    Parts that touch at a face, an edge or a corner are one.
    """
    numbers, _ = label(mask, np.ones((3, 3, 3)))
    thick = mask.astype(bool)
    thin: list[tuple[np.ndarray, np.ndarray]] = []
    for number, box in enumerate(find_objects(numbers), 1):
        if min(part.stop - part.start for part in box) > _THIN or len(thin) == _MOST_PARTS:
            continue
        own = numbers[box] == number
        thin.append((own, np.array([part.start for part in box])))
        thick[box] &= ~own
    return thick, thin


def _thin_surface(part: np.ndarray, corner: np.ndarray, matrix: np.ndarray, smoothing: int) -> Any:
    """Return the surface of a thin part: of split voxels unless the coarse ones are near enough."""
    edges = _edges(matrix)
    cubic = np.maximum(1, np.rint(edges / edges.min())).astype(int)
    best, least = None, np.inf
    for ways in (_ways(smoothing), _ways(smoothing, cubic), _ways(0, 3 * cubic)):
        affordable = [way for way in ways if part.size * int(np.prod(way[1])) <= _MOST_FINE]
        if best is not None and not affordable:
            break
        mesh = _surface(part, corner, matrix, affordable or ways)
        far = outside(mesh, part, _moved(matrix, corner[::-1]))
        if far < least:
            best, least = mesh, far
        if least <= edges.min() / 2:
            break
    return best


def _moved(matrix: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """The matrix of an array that begins at an index (x, y, z)."""
    moved: np.ndarray = matrix.copy()
    moved[:3, 3] += matrix[:3, :3] @ corner
    return moved


def _surface(mask: np.ndarray, corner: np.ndarray, matrix: np.ndarray, ways: Ways) -> Any:
    """Return the surface by the first way that encloses the volume; ``corner`` (z, y, x) is where the mask begins."""
    (box,) = find_objects(mask.astype(np.uint8))
    start = (
        np.array([part.start for part in box])[::-1] + corner[::-1] - 1
    )  # (x, y, z), of the padding
    field = np.pad(mask[box], 1).T.astype(np.float32)  # closes the border; (x, y, z)
    volume = float(mask[box].sum()) * abs(float(np.linalg.det(matrix[:3, :3])))
    for rounds, finer in ways:
        step = matrix.copy()
        step[:3, :3] /= finer
        # The centre of the first fine voxel, relative to the centre of its coarse voxel.
        first = start * finer - (finer - 1) / 2 + (finer - 1)
        mesh = _fitted(_finer(field, finer), step, first, volume, rounds)
        if abs(mesh.volume - volume) <= TOLERANCE * volume and _closed(mesh):
            return mesh
    raise UserError(
        f"STL: no surface encloses the mask's {volume:.1f} mm3 within 2 %; write .seg.nrrd, or remove single "
        "voxels from the mask"
    )


def _closed(mesh: Any) -> bool:
    """Whether the mesh is closed for a reader, which merges points at the same position."""
    trimesh = need("trimesh", "export", "STL")
    seen = trimesh.Trimesh(mesh.vertices, mesh.faces, process=True)
    return bool(seen.is_watertight and seen.is_winding_consistent)


def _ways(smoothing: int, split: np.ndarray = _WHOLE) -> Ways:
    """Iterations of smoothing, then none with finer voxels, which voxels that touch at a corner need."""
    rounds = []
    while smoothing:
        rounds.append(smoothing)
        smoothing //= 2
    return [*((one, split) for one in rounds), *((0, times * split) for times in (1, 3, 5))]


def _finer(field: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Split each voxel into ``times`` (x, y, z) voxels along the axes, with one voxel of padding."""
    for axis, count in enumerate(times):
        if count > 1:
            field = np.repeat(field, count, axis)
            field = field[(slice(None),) * axis + (slice(count - 1, 1 - count),)]
    return field


def _fitted(field: np.ndarray, matrix: np.ndarray, start: np.ndarray, volume: float,
            rounds: int) -> Any:  # fmt: skip
    """Find the level whose surface has the volume; the volume decreases as the level increases."""
    low, high, level = 0.01, 0.99, 0.5
    best = None
    for _ in range(_TRIALS):
        mesh = _at_level(field, level, matrix, start, rounds)
        if best is None or abs(mesh.volume - volume) < abs(best.volume - volume):
            best = mesh
        if abs(best.volume - volume) <= _AIM * volume:
            break
        low, high = (level, high) if mesh.volume > volume else (low, level)
        level = (low + high) / 2
    return best


def _at_level(field: np.ndarray, level: float, matrix: np.ndarray, start: np.ndarray,
              rounds: int) -> Any:  # fmt: skip
    trimesh = need("trimesh", "export", "STL")
    measure = need("skimage.measure", "export", "STL")
    points, faces, _, _ = measure.marching_cubes(field, level)
    mesh = trimesh.Trimesh(
        (points + start) @ matrix[:3, :3].T + matrix[:3, 3], faces, process=False
    )
    if rounds:
        need("trimesh.smoothing", "export", "STL").filter_taubin(mesh, iterations=rounds)
    # STL stores single precision; the volume is measured on the values that are written.
    mesh.vertices = mesh.vertices.astype(np.float32).astype(np.float64)
    if mesh.volume < 0:
        mesh.invert()
    return mesh
