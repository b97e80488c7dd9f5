"""Convert sacroiliac-joint MRI with fat metaplasia to nnU-Net's raw format.

There is one folder per patient, with an oblique T1 series (DICOM, NIfTI, NRRD or MetaImage) and
a binary mask from ITK-SNAP. Patients without fat metaplasia have empty masks: --allow-empty
accepts them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dataset_conversion.cases.transforms import Resample, Step
from dataset_conversion.datasets.converter import Converter
from dataset_conversion.datasets.hospital import FolderOptions, find_patients
from dataset_conversion.datasets.options import option
from dataset_conversion.datasets.volume_dataset import volume_dataset
from dataset_conversion.errors import DatasetError
from dataset_conversion.labels import Labels
from dataset_conversion.raw_format.raw_dataset import Progress, RawDataset

FAT_METAPLASIA = {"fat metaplasia": 1}


@dataclass(frozen=True)
class Options(FolderOptions):
    """Options of a hospital's MRI folders."""

    modality: str = option(
        "MR", "DICOM modality (default: %(default)s); any accepts all, none an absent one"
    )
    channel: str = option("T1", "channel name (default: %(default)s)")
    spacing: tuple[float, ...] | None = option(
        None, "voxel size in mm to resample to: two within the slices, then from slice to slice; "
        "1 1 7 in the paper (default: no resampling)", type=float, nargs=3, metavar="MM",
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Reject an invalid voxel size."""
        super().__post_init__()
        if self.spacing is not None and not all(0.05 <= mm <= 50 for mm in self.spacing):
            shown = " ".join(f"{mm:g}" for mm in self.spacing)
            raise DatasetError(f"--spacing {shown}: 0.05 to 50 mm are allowed")


def find(source: Path, options: Options, id: int, name: str,
         progress: Progress | None) -> RawDataset:  # fmt: skip
    """Scan the patients' folders and return the dataset; writes nothing."""
    usual = None if options.labels else Labels(FAT_METAPLASIA, drop=options.drop)
    found = find_patients(source, options, "sijmr", progress, usual)
    steps: tuple[Step, ...] = ()
    if options.spacing is not None:
        in_row, in_column, across = options.spacing
        steps = (Resample((in_row, in_column, across)),)
    return volume_dataset(id, name, found, options, (options.channel,), steps=steps)


CONVERTER = Converter(name="SacroiliacMRI", options=Options, find=find)
convert = CONVERTER.convert
