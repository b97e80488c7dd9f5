"""Convert CTPelvic1K pelvic CT to nnU-Net's raw format.

Images are `dataset6_CLINIC_0001_data.nii.gz`, masks `dataset6_CLINIC_0001_mask_4label.nii.gz`,
anywhere below one folder. Sub-datasets 1 to 5 come as masks only; their images keep the names of
their own sources (img0001.nii.gz, colon_001.nii.gz, case_00014/imaging.nii.gz, 0507688-Image.nii.gz)
or are named like the masks with `_data`. Masks of sub-dataset 7 may lack `dataset7_`.

Values: 1 sacrum, 2 right hip, 3 left hip, 4 lumbar spine, as in the authors' own converter
(nnunet/dataset_conversion/JstPelvisSegmentation_5label.py of github.com/MIRACLE-Center/CTPelvic1K).
Public sources disagree: the loader of github.com/constantinpape/torch-em reports that 2 is on the
patient's left in every scan of sub-datasets 6 and 7, and other code that the sub-datasets differ.
So the sides are verified from the positions of the labels, and `--hips-exchanged` names the
sub-datasets with the other order. The files themselves were not seen; names are from Zenodo 4588403
and public code. Patients are known for sub-dataset 2 (the UID); the others are taken as one scan
each, though users report scans of one patient in 6 and 7. Cite doi 10.1007/s11548-021-02363-8.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.cases.side_check import Sides, check_sides
from dataset_conversion.datasets.converter import Converter
from dataset_conversion.datasets.file_tree import FoundPair, Named, pairs_below
from dataset_conversion.datasets.label_schemes import merged
from dataset_conversion.datasets.options import option
from dataset_conversion.datasets.volume_cases import Content, Files, collect
from dataset_conversion.datasets.volume_dataset import CTOptions, volume_dataset
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.geometry import like
from dataset_conversion.io.label_maps import LabelMap, read_mask
from dataset_conversion.raw_format.raw_dataset import Progress, RawDataset

LABELS = {"sacrum": (1,), "right hip": (2,), "left hip": (3,), "lumbar spine": (4,)}
_SIDES = Sides("hip", left=(3,), right=(2,), middle=(1, 4))
# The names of the scans in each sub-dataset.
_SCANS = {
    1: r"img\d+",
    2: r"[\d.]{9,}_.+",
    3: r"colon_\d+",
    4: r"case_\d+",
    5: r"\d+[-_]Image",
    6: r"CLINIC_\d+",
    7: r"CLINIC_metal_\d+",
}
_FILE = re.compile(r"(?:dataset(\d)_)?(.+?)(_data|_mask_4label)?\.nii(\.gz)?", re.I)


@dataclass(frozen=True)
class Options(CTOptions):
    """Sides of CTPelvic1K."""

    hips_exchanged: tuple[int, ...] = option(
        (), "sub-datasets, 1 to 7, in which 2 is the left and 3 the right hip; verified as well",
        type=int, nargs="+", metavar="N",
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Reject unknown sub-datasets."""
        super().__post_init__()
        unknown = sorted({*self.hips_exchanged} - {*_SCANS})
        if unknown:
            shown = " ".join(map(str, unknown))
            raise DatasetError(f"--hips-exchanged {shown}: sub-datasets 1 to 7 are allowed")


def find(source: Path, options: Options, id: int, name: str,
         progress: Progress | None) -> RawDataset:  # fmt: skip
    """Pair images and masks and return the dataset; writes nothing."""
    expected = "the folder that holds the unpacked CTPelvic1K_dataset6_data and masks"
    pairs, problems = pairs_below(source, _named, expected, options.follow_links)
    exchanged = sorted(set(options.hips_exchanged))
    content = Content(
        merged(LABELS, options.drop),
        read_mask=partial(_read, exchanged=exchanged),
        verify=partial(_verify, exchanged=exchanged),
    )
    found = collect([_files(pair) for pair in pairs], content, options, progress, problems)
    order = "2 right, 3 left" + (f"; exchanged in sub-datasets {exchanged}" if exchanged else "")
    notes = [f"hips: {order}; public sources disagree, so sides were verified by position"]
    settings = {"hips_exchanged": exchanged}
    return volume_dataset(id, name, found, options, notes=notes, settings=settings)


def _named(path: Path) -> Named | None:
    """Return scan and role of a file.

    >>> _named(Path("masks/CLINIC_metal_0004_mask_4label.nii.gz"))
    Named(scan='dataset7_CLINIC_metal_0004', is_mask=True)
    >>> _named(Path("kits19/case_00014/imaging.nii.gz"))
    Named(scan='dataset4_case_00014', is_mask=False)
    """
    name = f"{path.parent.name}.nii.gz" if path.name.startswith("imaging.nii") else path.name
    found = _FILE.fullmatch(name)
    if not found:
        return None
    part, scan, role = found[1], found[2], (found[3] or "").lower()
    known = next((n for n, names in _SCANS.items() if re.fullmatch(names, scan, re.I)), None)
    if known is None and not (part and role):
        return None
    clean = re.sub(r"[^A-Za-z0-9]+", "_", scan)
    return Named(f"dataset{part or known}_{clean}", role == "_mask_4label")


def _files(pair: FoundPair) -> Files:
    """Return the files with the patient: in sub-dataset 2 the UID before the series' number."""
    uid = re.match(r"dataset2_\d+(_\d+){9}", pair.scan)
    return Files(pair.scan, uid[0] if uid else pair.scan, (pair.image,), pair.mask)


def _part(files: Files) -> int:
    return int(files.name[len("dataset")])


def _read(files: Files, path: Path, exchanged: Collection[int]) -> LabelMap:
    mask = read_mask(path)
    if _part(files) not in exchanged:
        return mask
    table = np.arange(65536, dtype=np.uint16)
    table[[2, 3]] = 3, 2
    return replace(mask, image=like(table[sitk.GetArrayViewFromImage(mask.image)], mask.image))


def _verify(files: Files, mask: sitk.Image, exchanged: Collection[int]) -> list[str]:
    part = _part(files)
    fix = (
        f"if the masks of sub-dataset {part} number the hips the other way round, "
        f"{'leave it out of' if part in exchanged else f'add {part} to'} --hips-exchanged; if the "
        "file's header exchanges left and right, correct it"
    )
    return check_sides(mask, _SIDES, str(files.mask), fix)


CONVERTER = Converter(name="CTPelvic1K", options=Options, find=find)
convert = CONVERTER.convert
