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
from dataset_conversion.dicom.series import ABSENT, ANY
from dataset_conversion.raw_format.preview import BONE
from dataset_conversion.raw_format.raw_dataset import Progress, RawDataset

__all__ = ["CONVERTER", "Options", "convert"]


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
    labels = found.labels
    ignore = None if labels.ignore is None else labels.remap[labels.ignore]
    steps = (DropEmptySlices(ignore),) if options.drop_empty_slices else ()
    return RawDataset(
        id=id,
        name=name,
        # noNorm: nnU-Net silently uses z-scores for channel names that it does not know.
        channel_names=("noNorm" if options.window else options.kind,),
        labels=labels,
        cases=found.cases,
        output=options.output(window=options.window, steps=steps),
        display=BONE if options.kind.upper() == "CT" else None,
        notes=found.notes,
        splits=options.splits(),
        problems=found.problems,
    )


CONVERTER = Converter(name="SacroiliacCT", options=Options, find=find)
convert = CONVERTER.convert
