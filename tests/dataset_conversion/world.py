"""Contents of volumes in world coordinates (LPS mm), read independently of the package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.uid import ExplicitVRLittleEndian

NEAR = 0.02  # mm that float32 headers may move a voxel
_NUDGES = np.array([(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1)]) * NEAR


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Values (x, y, z) and the 4 x 4 affine to LPS mm of a NIfTI file."""
    image = nib.load(path)
    return np.asarray(image.dataobj), np.diag([-1.0, -1, 1, 1]) @ image.affine


def stored(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Values and affine of any source: NIfTI, MetaImage, or a folder of DICOM slices."""
    if path.is_dir():
        return _series(path)
    if path.name.endswith(".nii.gz"):
        return read(path)
    image = sitk.ReadImage(str(path))
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) @ np.diag(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image).T, matrix


def _series(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    slices = [pydicom.dcmread(path, force=True) for path in folder.glob("IM*.dcm")]
    for item in slices:  # those without a preamble
        if "TransferSyntaxUID" not in item.file_meta:
            item.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    rows = np.array(slices[0].ImageOrientationPatient, float)
    normal = np.cross(rows[:3], rows[3:])
    slices.sort(key=lambda s: float(np.array(s.ImagePositionPatient, float) @ normal))
    first, last = (np.array(slices[i].ImagePositionPatient, float) for i in (0, -1))
    matrix = np.eye(4)
    matrix[:3, 0] = rows[:3] * float(slices[0].PixelSpacing[1])
    matrix[:3, 1] = rows[3:] * float(slices[0].PixelSpacing[0])
    matrix[:3, 2] = (last - first) / (len(slices) - 1)
    matrix[:3, 3] = first
    values = np.stack([s.pixel_array.astype(float) for s in slices], axis=-1)  # rows, columns, z
    offset = float(slices[0].get("RescaleIntercept", 0))
    return values.transpose(1, 0, 2) + offset, matrix


def points(shape: tuple[int, ...], matrix: np.ndarray) -> np.ndarray:
    """World positions (x, y, z, 3) of all voxels."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)
    return index @ matrix[:3, :3].T + matrix[:3, 3]


def check_labels(path: Path, truth: Callable[[np.ndarray], np.ndarray],
                 table: Mapping[int, int]) -> int:  # fmt: skip
    """Assert that a written mask equals the truth at every voxel.

    Where the truth changes within 0.02 mm, either label is accepted.

    Args:
        path: labelsTr/....nii.gz.
        truth: world points to the source's values.
        table: source's value -> nnU-Net's; missing values are background.

    Returns:
        Number of labelled voxels.
    """
    written, matrix = read(path)
    lookup = np.zeros(65536, int)
    lookup[list(table)] = list(table.values())
    bad = meant = 0
    step = max(1, 500_000 // written[0].size)
    for first in range(0, len(written), step):  # slab by slab: full size takes gigabytes
        slab = written[first : first + step]
        moved = matrix.copy()
        moved[:3, 3] += first * matrix[:3, 0]
        where = points(slab.shape, moved)
        expected = lookup[truth(where)]
        meant += int((expected > 0).sum())
        wrong = slab != expected
        if wrong.any():
            nudged = np.stack([lookup[truth(where[wrong] + nudge)] for nudge in _NUDGES])
            bad += int((~(nudged == slab[wrong]).any(axis=0)).sum())
    assert bad == 0, f"{path.name}: {bad} voxels are wrong"
    assert written.any() == (meant > 0)
    return int((written > 0).sum())


def check_values(
    path: Path, source: Path, meant: Callable[[np.ndarray], np.ndarray] | None = None
) -> None:
    """Assert that a written image has the source's value at every position."""
    written, matrix = read(path)
    values, placed = stored(source)
    index = points(written.shape, np.linalg.inv(placed) @ matrix)
    near = np.rint(index).astype(int)
    assert np.abs(index - near).max() < 0.02, "voxels are between those of the source"
    assert (near >= 0).all()
    assert (near < values.shape).all()
    found = values[tuple(near[..., axis] for axis in range(3))].astype(float)
    np.testing.assert_array_equal(written, meant(found) if meant else found)


def orientation(path: Path) -> str:
    """Return the orientation of a NIfTI file, such as LPS."""
    return "".join(nib.aff2axcodes(nib.load(path).affine))


def count(path: Path) -> int:
    """Labelled voxels of any mask."""
    return int((stored(path)[0] > 0).sum())
