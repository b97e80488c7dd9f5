"""Positions of voxels in the body: affines, orientation, orthonormal axes.

Index and point order is (x, y, z) as in SimpleITK; arrays are (z, y, x). Points are in mm, LPS:
x grows to the patient's left, y to the back, z to the head.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from dataset_conversion.errors import DatasetError

ORTHONORMAL = 1e-3  # largest change of an entry that makes a direction orthonormal
NOISE = 1e-5  # below this it is rounding of float32 headers and not reported


def affine(image: sitk.Image) -> np.ndarray:
    """Return the 4 x 4 matrix from index (x, y, z, 1) to LPS mm.

    >>> image = sitk.Image(4, 5, 6, sitk.sitkInt16)
    >>> image.SetSpacing((0.5, 0.5, 3.0))
    >>> (affine(image) @ (2, 2, 2, 1)).tolist()
    [1.0, 1.0, 6.0, 1.0]
    """
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.asarray(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    return matrix


def place(array: np.ndarray, matrix: np.ndarray) -> sitk.Image:
    """Return a volume with an array (z, y, x) and a 4 x 4 affine (orthogonal columns, LPS mm)."""
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    image.SetSpacing([float(v) for v in spacing])
    image.SetDirection([float(v) for v in (matrix[:3, :3] / spacing).ravel()])
    image.SetOrigin([float(v) for v in matrix[:3, 3]])
    return image


def like(array: np.ndarray, image: sitk.Image) -> sitk.Image:
    """Return a volume with an array (z, y, x) and an image's geometry, without its metadata."""
    result = sitk.GetImageFromArray(np.ascontiguousarray(array))
    result.SetSpacing(image.GetSpacing())
    result.SetDirection(image.GetDirection())
    result.SetOrigin(image.GetOrigin())
    return result


def oriented(image: sitk.Image, code: str = "LPS") -> sitk.Image:
    """Flip and permute the axes so that x, y, z run closest to a code's directions.

    Nothing is resampled; an oblique direction stays oblique. ITK's filter does the same but takes
    ten times as long.

    >>> stored = sitk.DICOMOrient(sitk.Image(4, 5, 6, sitk.sitkInt16), "PIR")
    >>> stored.GetSize(), oriented(stored).GetSize()
    ((5, 6, 4), (4, 5, 6))
    """
    here = orientation(image)
    if here == code:
        return image
    pairs = [frozenset(pair) for pair in ("LR", "AP", "IS")]
    axes = [next(i for i in range(3) if {here[i], letter} <= pair)
            for letter in code for pair in pairs if letter in pair]  # fmt: skip
    flips = [axis for axis, source in enumerate(axes) if here[source] != code[axis]]
    array = sitk.GetArrayViewFromImage(image).T.transpose(axes)  # (x, y, z)
    matrix = affine(image)
    steps = np.zeros((4, 4))  # new index -> old index
    steps[3, 3] = 1
    for axis, source in enumerate(axes):
        steps[source, axis] = -1 if axis in flips else 1
        steps[source, 3] = image.GetSize()[source] - 1 if axis in flips else 0
    turned = sitk.GetImageFromArray(np.ascontiguousarray(np.flip(array, tuple(flips)).T))
    turned.SetSpacing([image.GetSpacing()[source] for source in axes])
    direction = np.reshape(image.GetDirection(), (3, 3)) @ steps[:3, :3]
    turned.SetDirection([float(v) for v in direction.ravel()])
    turned.SetOrigin([float(v) for v in (matrix @ steps)[:3, 3]])
    return turned


def orientation(image: sitk.Image) -> str:
    """Return the directions closest to x, y, z as ITK's code: LPS is left, posterior, superior."""
    code: str = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(image.GetDirection())
    return code


def orthonormal(matrix: np.ndarray, who: str) -> tuple[np.ndarray, str | None]:
    """Return the affine with an orthonormal direction, and a note if that changed it.

    Raises:
        DatasetError: not finite, zero spacing, or off by more than 1e-3 (sheared).
    """
    if not np.isfinite(matrix).all():
        raise DatasetError(f"{who}: its affine contains NaN or inf; export the volume again")
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    if (spacing < 1e-6).any():
        raise DatasetError(
            f"{who}: spacing {in_mm(spacing)} mm has a zero; export the volume again"
        )
    direction = matrix[:3, :3] / spacing
    u, _, vt = np.linalg.svd(direction)
    nearest = u @ vt
    off = float(np.abs(direction - nearest).max())
    if off > ORTHONORMAL:
        raise DatasetError(
            f"{who}: its axes are sheared (off by {off:.2g}, allowed {ORTHONORMAL:g}); resample "
            "the volume to an orthogonal grid, for CT with a tilted gantry e.g. with dcm2niix"
        )
    result = matrix.copy()
    result[:3, :3] = nearest * spacing
    if off <= NOISE:
        return result, None
    return result, f"axes were off orthonormal by {off:.1e} and have been straightened"


def in_mm(values: Sequence[float] | np.ndarray) -> str:
    """Return lengths as text.

    >>> in_mm((0.5, 0.5, 3))
    '0.5 x 0.5 x 3'
    """
    return " x ".join(f"{float(v):.4g}" for v in values)
