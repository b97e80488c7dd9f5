"""Convert VerSe'19 and VerSe'20 spine CT (CC BY-SA 4.0) to nnU-Net's raw format.

Two layouts are read. Subjects: `rawdata/sub-verse401/sub-verse401_split-verse253_ct.nii.gz` with
`derivatives/sub-verse401/..._seg-vert_msk.nii.gz`, in folders such as `dataset-01training`; one
subject may have several scans. MICCAI: `verse012.nii.gz` with `verse012_seg.nii.gz`, or
`verse768_CT-ax.nii.gz` with `verse768_CT-ax_seg.nii.gz`; it does not state which scans are of one
patient.

Sources: README.md of github.com/anjany/verse; the wikis of osf.io/4skx2 and osf.io/b2wxj;
verse2020.grand-challenge.org. Values: 1-7 C1 to C7, 8-19 T1 to T12, 20-25 L1 to L6, 26 sacrum, 27
coccyx (both documented as not labelled), 28 T13. The files themselves were not seen; the spelling
of names is that of public code that reads them. Cite doi 10.1016/j.media.2021.102166,
10.1148/ryai.2020190138 and arXiv 2103.06360.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from dataset_conversion.datasets.converter import Converter
from dataset_conversion.datasets.file_tree import FoundPair, Named, pairs_below
from dataset_conversion.datasets.label_schemes import merged
from dataset_conversion.datasets.level_order import check_order
from dataset_conversion.datasets.options import option
from dataset_conversion.datasets.volume_cases import Content, Files, collect
from dataset_conversion.datasets.volume_dataset import CTOptions, volume_dataset
from dataset_conversion.labels import Labels
from dataset_conversion.raw_format.raw_dataset import Progress, RawDataset

LEVELS = {
    **{f"C{n}": n for n in range(1, 8)},
    **{f"T{n}": 7 + n for n in range(1, 13)},
    "T13": 28,
    **{f"L{n}": 19 + n for n in range(1, 7)},
}
_RARE = {"sacrum": 26, "coccyx": 27}
_UPWARDS = (27, 26, *reversed(LEVELS.values()))
_FIX = (
    "VerSe counts from head to feet, 1 C1 to 24 L5; check whether the file has these labels, and "
    "whether it exchanges head and feet"
)

SCHEMES: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "levels": {name: (value,) for name, value in LEVELS.items()},
    "binary": {"vertebra": tuple(LEVELS.values())},
}

_SUBJECT = re.compile(
    r"((sub-[a-z]+\d+)(?:_[a-z]+-[a-z0-9]+)*?)_(ct|seg-vert_msk)\.nii(\.gz)?", re.I
)
_SERIES = re.compile(r"((?:verse|gl)\d+(?:_CT-[a-z]+)?)(_seg)?\.nii(\.gz)?", re.I)
_SUBSET = re.compile(r"(?:.*[-_\d])?(train|val|test)(?:ing|idation)?", re.I)


@dataclass(frozen=True)
class Options(CTOptions):
    """Labels of VerSe."""

    scheme: str = option(
        "levels",
        "levels: C1 to L6 and T13; binary: vertebra (default: %(default)s). Sacrum and coccyx are "
        "labels of their own where masks hold them",
        choices=tuple(SCHEMES),
    )


def find(source: Path, options: Options, id: int, name: str,
         progress: Progress | None) -> RawDataset:  # fmt: skip
    """Pair images and masks and return the dataset; writes nothing."""
    expected = "the folder that holds rawdata/ and derivatives/"
    pairs, problems = pairs_below(source, _named, expected, options.follow_links)
    files = [_files(source, pair) for pair in pairs]
    series = [one for one in files if not one.group.startswith("sub-")]
    if series and len(series) < len(files):
        problems.append(
            f"{source}: both layouts of VerSe, {series[0].where} without sub- and {len(files) - len(series)} "
            "images with it; their scans overlap, so convert one of the layouts"
        )

    def labels(values: Collection[int]) -> Labels:
        rare = {name: (value,) for name, value in _RARE.items() if value in values}
        return merged({**SCHEMES[options.scheme], **rare}, options.drop)

    content = Content(
        labels, verify=lambda files, mask: check_order(mask, _UPWARDS, str(files.mask), _FIX)
    )
    found = collect(files, content, options, progress, problems)
    notes = [
        "the MICCAI layout does not state which scans are of one patient: pass --groups, or convert "
        "the layout with rawdata/ and derivatives/"
    ] if series and not options.groups else []  # fmt: skip
    settings = {"scheme": options.scheme}
    return volume_dataset(id, name, found, options, notes=notes, settings=settings)


def _named(path: Path) -> Named | None:
    """Return scan and role of a file.

    >>> _named(Path("rawdata/sub-gl003/sub-gl003_dir-ax_ct.nii.gz"))
    Named(scan='sub-gl003_dir-ax', is_mask=False)
    >>> _named(Path("verse012_seg.nii.gz"))
    Named(scan='verse012', is_mask=True)
    """
    if found := _SUBJECT.fullmatch(path.name):
        return Named(found[1], found[3].lower() != "ct")
    if found := _SERIES.fullmatch(path.name):
        return Named(found[1], found[2] is not None)
    return None


def _files(source: Path, pair: FoundPair) -> Files:
    """Return the files with patient and subset, which the innermost folder's name states."""
    folders = (source.resolve().name, *pair.image.relative_to(source).parts[:-1])
    subsets = [found[1].lower() for part in folders if (found := _SUBSET.fullmatch(part))]
    patient = pair.scan.split("_")[0].lower()
    return Files(pair.scan, patient, (pair.image,), pair.mask, subsets[-1] if subsets else "")


CONVERTER = Converter(name="VerSe", options=Options, find=find)
convert = CONVERTER.convert
