"""Convert a hospital's sacroiliac-joint CT to nnU-Net's raw format.

There is one folder per patient, with a DICOM series or a NIfTI, NRRD or MetaImage volume, and
optionally a mask (ITK-SNAP's NIfTI or 3D Slicer's .seg.nrrd). Patients without a mask become test
cases.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dataset_conversion.cases.transforms import DropEmptySlices
from dataset_conversion.datasets.converter import Converter
from dataset_conversion.datasets.hospital import FolderOptions, find_patients
from dataset_conversion.datasets.options import option, window_option
from dataset_conversion.datasets.volume_dataset import volume_dataset
from dataset_conversion.dicom.series import ABSENT, ANY
from dataset_conversion.raw_format.raw_dataset import Progress, RawDataset


@dataclass(frozen=True)
class Options(FolderOptions):
    """Options of a hospital's CT folders."""

    window: tuple[float, float] | None = window_option()
    drop_empty_slices: bool = option(
        False, "remove slices above and below all labels, as in the papers"
    )

    @property
    def kind(self) -> str:
        """The modality; CT if any or an absent one is accepted."""
        return "CT" if self.modality.casefold() in (ANY, ABSENT) else self.modality


def find(source: Path, options: Options, id: int, name: str,
         progress: Progress | None) -> RawDataset:  # fmt: skip
    """Scan the patients' folders and return the dataset; writes nothing."""
    found = find_patients(source, options, "sijct", progress)
    ignore = None if found.labels.ignore is None else found.labels.remap[found.labels.ignore]
    steps = (DropEmptySlices(ignore),) if options.drop_empty_slices else ()
    return volume_dataset(id, name, found, options, (options.kind,), steps=steps)


CONVERTER = Converter(name="SacroiliacCT", options=Options, find=find)
convert = CONVERTER.convert
