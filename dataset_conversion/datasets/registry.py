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
    "verse": Entry(
        "dataset_conversion.datasets.verse",
        "VerSe'19 and VerSe'20 spine CT, either layout",
        "folder with rawdata/ and derivatives/ below it, or with verse012.nii.gz and verse012_seg.nii.gz",
    ),
    "ctpelvic1k": Entry(
        "dataset_conversion.datasets.ctpelvic1k",
        "CTPelvic1K pelvic CT: sacrum, hips, lumbar spine",
        "folder with ..._data.nii.gz and ..._mask_4label.nii.gz below it",
    ),
    "pengwin": Entry(
        "dataset_conversion.datasets.pengwin",
        "PENGWIN pelvic fracture CT: sacrum and hips, fragments joined",
        "folder with PENGWIN_CT_train_images_part1/ and PENGWIN_CT_train_labels/ of .mha files",
    ),
    "nnunet": Entry(
        "dataset_conversion.datasets.nnunet_raw",
        "an existing dataset in nnU-Net's raw format, e.g. to split it by patient",
        "folder DatasetXXX_Name with dataset.json, imagesTr/ and labelsTr/",
    ),
    "decathlon": Entry(
        "dataset_conversion.datasets.decathlon",
        "a task of the Medical Segmentation Decathlon",
        "folder TaskXX_Name with imagesTr/ and labelsTr/, and dataset.json",
    ),
}


def converter(name: str) -> Converter:
    """Import and return a converter.

    >>> converter("csig").name
    'CSIG'
    """
    found: Converter = import_module(CONVERTERS[name].module).CONVERTER
    return found
