"""Read and rescale the pixels of a verified series, slice by slice: ITK first, then pydicom.

ITK's GDCM reads most transfer syntaxes. pydicom with its plug-ins reads others (e.g.
high-throughput JPEG 2000), files without a preamble, and single frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dataset_conversion.dicom.headers import Slice
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import place
from dataset_conversion.io.library_warnings import quiet_itk, quiet_pydicom


def read_pixels(slices: Sequence[Slice], affine: np.ndarray, who: str) -> sitk.Image:
    """Return the rescaled values as a float32 volume.

    Args:
        slices: in the order of the normal.
        affine: 4 x 4, index to LPS mm, from the headers; ITK must read the same.
        who: the patient, for messages.

    Raises:
        DatasetError: no decoder, damaged pixels, or ITK reads another geometry.
    """
    if any(_only_by_pydicom(item) for item in slices):
        return place(_by_pydicom(slices, who), affine)
    try:
        image = _by_itk(slices)
    except RuntimeError:
        return place(_by_pydicom(slices, who), affine)
    size = (slices[0].matrix[1], slices[0].matrix[0], len(slices))
    if image.GetSize() != size:
        raise DatasetError(f"{who}: ITK reads {image.GetSize()} voxels, not {size}")
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    direction = affine[:3, :3] / spacing
    seen = (image.GetOrigin(), image.GetDirection(), image.GetSpacing()[:2])
    expected = (slices[0].position, direction.ravel(), spacing[:2])
    if not all(np.allclose(s, e, atol=2e-2) for s, e in zip(seen, expected, strict=True)):
        raise DatasetError(
            f"{who}: ITK reads another geometry than the slices' headers give (origin "
            f"{image.GetOrigin()}); convert the series with dcm2niix and inspect the result"
        )
    image.SetSpacing([float(v) for v in spacing])
    image.SetDirection([float(v) for v in direction.ravel()])
    image.SetOrigin([float(v) for v in affine[:3, 3]])
    return image


def _only_by_pydicom(item: Slice) -> bool:
    """Check for what ITK does not read as stored: it reads '1,5' as 1, and inverts MONOCHROME1."""
    return item.headless or item.frame is not None or bool(item.commas) or item.inverted


def _by_itk(slices: Sequence[Slice]) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(item.path) for item in slices])
    # ITK uses the type of the first slice for all, which would truncate a later fractional slope.
    reader.SetOutputPixelType(sitk.sitkFloat32)
    with quiet_itk:
        return reader.Execute()


def _by_pydicom(slices: Sequence[Slice], who: str) -> np.ndarray:
    opened: dict[Path, np.ndarray] = {}
    planes = []
    for item in slices:
        if item.path not in opened:
            opened = {item.path: _decoded(item, who)}  # one file at a time, for memory
        stored = opened[item.path]
        plane = stored if item.frame is None else stored[item.frame]
        if plane.shape != item.matrix:
            raise DatasetError(
                f"{item.path}: its pixels are {plane.shape}, but its header gives {item.matrix}; copy "
                "or export it again"
            )
        planes.append(plane.astype(np.float32) * np.float32(item.slope) + np.float32(item.offset))
    return np.stack(planes)


def _decoded(item: Slice, who: str) -> np.ndarray:
    with quiet_pydicom():
        try:
            data: Any = pydicom.dcmread(item.path, force=True)
            if "TransferSyntaxUID" not in data.file_meta:
                implicit, little = data.original_encoding
                plain = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
                data.file_meta.TransferSyntaxUID = plain if little else ExplicitVRBigEndian
            pixels: np.ndarray = data.pixel_array
        except MemoryError:
            raise
        except Exception as error:  # the error depends on the decoder
            raise DatasetError(
                f"{who}: the pixels of {item.path.name} cannot be decoded (transfer syntax "
                f"{UID(item.syntax).name or 'none'}); copy the series again, install pydicom's "
                "decoders (pip install pylibjpeg[all]), or convert it with dcm2niix"
            ) from error
    return pixels
