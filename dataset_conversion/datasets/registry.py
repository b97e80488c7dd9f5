"""The datasets that can be converted: command-line name, module, help.

A module is imported on demand; each defines a `CONVERTER`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from dataset_conversion.datasets.converter import Converter


class Entry(NamedTuple):
    """A converter's module, its description, and the layout of its source."""

    module: str
    about: str
    source: str


CONVERTERS = {
    "spider": Entry(
        "dataset_conversion.datasets.spider",
        "SPIDER lumbar MRI as downloaded from Zenodo",
        "folder with images/, masks/ (or images/images/ ...) and overview.csv",
    ),
    "csig": Entry(
        "dataset_conversion.datasets.csig",
        "CSIG (MRSpineSeg) lumbar MRI",
        "folder with train/MR/Case1.nii.gz ... and train/Mask/mask_case1.nii.gz ...",
    ),
    "hospital-ct": Entry(
        "dataset_conversion.datasets.hospital_ct",
        "a hospital's sacroiliac-joint CT",
        "folder with one folder per patient: a DICOM series or a volume, and a mask",
    ),
    "sij-mri": Entry(
        "dataset_conversion.datasets.sij_mri",
        "sacroiliac-joint MRI with fat metaplasia",
        "folder with one folder per patient: a DICOM series or a volume, and a mask",
    ),
}


def converter(name: str) -> Converter:
    """Import and return a converter.

    >>> converter("csig").name
    'CSIG'
    """
    found: Converter = import_module(CONVERTERS[name].module).CONVERTER
    return found
