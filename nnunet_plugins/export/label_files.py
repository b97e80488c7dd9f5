"""Label maps to export: volumes, and the 2D and natural images that nnU-Net reads as well."""

from __future__ import annotations

from pathlib import Path

import SimpleITK as sitk

from dataset_conversion.io.label_maps import read_mask
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.cases import PIXELS, read
from nnunet_plugins.image_files import is_flat
from nnunet_plugins.natural_images import is_natural

_HIGHEST = 65535


def read_label_file(path: Path) -> tuple[sitk.Image, list[str]]:
    """Read a label map as a volume (LPS mm), a 2D image as one slice, and notes on what its file does not state.

    Raises:
        UserError: a 2D or natural image that is not a label map.
        DatasetError: a volume that is not a label map.
    """
    if not is_natural(path) and not path.name.lower().endswith(".gipl") and not is_flat(path):
        return read_mask(path).image, []
    found = read(path)
    if found.voxels.max(initial=0) > _HIGHEST:
        raise UserError(
            f"{path}: holds the value {found.voxels.max()}; labels up to {_HIGHEST} are allowed"
        )
    small = found.voxels.max(initial=0) < 256
    flat = sitk.Cast(found.image, sitk.sitkUInt8 if small else sitk.sitkUInt16)
    notes = []
    if not found.orientation:
        notes.append(
            "the label map states no directions of a patient: left, right, front and back in other programs mean "
            "nothing"
        )
    if found.unit == PIXELS:
        notes.append("the label map has no voxel size: 1 mm per pixel is written")
    return sitk.JoinSeries(flat) if flat.GetDimension() == 2 else flat, notes


def check_placed(paths: list[Path]) -> None:
    """Check that label maps have a position in a patient, as DICOM SEG and the patients' own images need.

    Raises:
        UserError: one of them is a natural image.
    """
    natural = [path for path in paths if is_natural(path)]
    if natural:
        raise UserError(
            f"export: {natural[0].name} has no position in a patient, so it cannot be placed on a series or an "
            "image; pass --to seg.nrrd or stl, without --dicom and --key"
        )
