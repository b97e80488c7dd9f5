"""The datasets that can be converted: a name for the command line, the module, a line of help.

A module is imported only when its name is asked for; each holds a `CONVERTER`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from dataset_conversion.converter import Converter


class Entry(NamedTuple):
    """Where a converter is found, and what it is for."""

    module: str
    about: str


CONVERTERS = {
    "spider": Entry("dataset_conversion.spider", "SPIDER lumbar MRI as downloaded from Zenodo"),
    "csig": Entry("dataset_conversion.csig", "CSIG (MRSpineSeg) lumbar MRI: train/MR, train/Mask"),
    "hospital-ct": Entry(
        "dataset_conversion.hospital_ct", "a folder a patient: DICOM series or volume, with a mask"
    ),
    "sij-mri": Entry(
        "dataset_conversion.sij_mri", "sacroiliac-joint MRI: a DICOM series and a mask a patient"
    ),
}


def converter(name: str) -> Converter:
    """Import and return a converter."""
    found: Converter = import_module(CONVERTERS[name].module).CONVERTER
    return found
