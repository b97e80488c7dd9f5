"""STL meshes: one closed surface per label, in mm, with the volume of its mask.

Marching cubes at level 0.5 chamfers every edge and reduces the volume of thin structures; smoothing reduces it
further. The level is therefore chosen such that the final surface encloses the mask's volume.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import find_objects

from dataset_conversion.io.geometry import affine
from nnunet_plugins.atomic_files import placed
from nnunet_plugins.errors import UserError
from nnunet_plugins.export.errors import UnequalError
from nnunet_plugins.optional_imports import need

TOLERANCE = 0.02  # largest relative difference from the mask's volume
_AIM = 0.005  # the search for a level ends here
_TRIALS = 12
#: 3D Slicer reads the coordinate system from this header.
HEADER = b"SPACE=LPS nnunet-plugins, mm"


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
    volume = float(mask.sum()) * abs(float(np.linalg.det(affine(image)[:3, :3])))
    mesh = surface(mask, affine(image), smoothing)
    with placed(target) as temporary:
        content = trimesh.exchange.stl.export_stl(mesh)
        temporary.write_bytes(HEADER.ljust(80) + content[80:])
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
    (box,) = find_objects(mask.astype(np.uint8))
    start = np.array([part.start for part in box])[::-1] - 1  # (x, y, z), corner of the padding
    field = np.pad(mask[box], 1).T.astype(np.float32)  # closes the border; (x, y, z)
    volume = float(mask[box].sum()) * abs(float(np.linalg.det(matrix[:3, :3])))
    for rounds, finer in _ways(smoothing):
        step = matrix.copy()
        step[:3, :3] /= finer
        # The centre of the first fine voxel, relative to the centre of its coarse voxel.
        corner = start * finer - (finer - 1) / 2 + (finer - 1)
        mesh = _fitted(_finer(field, finer), step, corner, volume, rounds)
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


def _ways(smoothing: int) -> Iterator[tuple[int, int]]:
    """Iterations of smoothing, then none with finer voxels, which voxels that touch at a corner need."""
    while smoothing:
        yield smoothing, 1
        smoothing //= 2
    yield from ((0, 1), (0, 3), (0, 5))


def _finer(field: np.ndarray, times: int) -> np.ndarray:
    """Split each voxel into ``times`` voxels along every axis, with one voxel of padding."""
    if times == 1:
        return field
    for axis in range(3):
        field = np.repeat(field, times, axis)
    return field[(slice(times - 1, 1 - times),) * 3]


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
