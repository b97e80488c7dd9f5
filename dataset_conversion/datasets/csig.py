"""Convert CSIG lumbar MRI (MRSpineSeg, also written CIGS) to nnU-Net's raw format.

train/MR/Case<n>.nii.gz and train/Mask/mask_case<n>.nii.gz are paired by number. Copies of the
dataset number the levels differently, so the numbering is an option and is verified from the
positions of the labels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

from dataset_conversion.cases.transforms import CropWidth
from dataset_conversion.datasets.converter import Converter
from dataset_conversion.datasets.level_order import check_order
from dataset_conversion.datasets.options import Common, option
from dataset_conversion.datasets.paired_folders import Key, find_folder, find_pairs
from dataset_conversion.datasets.volume_cases import Content, Files, collect
from dataset_conversion.datasets.volume_dataset import volume_dataset
from dataset_conversion.errors import DatasetError
from dataset_conversion.labels import Labels, read_labels
from dataset_conversion.raw_format.raw_dataset import Progress, RawDataset

LEVELS = ("S", "L5", "L4", "L3", "L2", "L1", "T12", "T11", "T10", "T9")  # from the lowest
_IMAGE = re.compile(r"case[_-]?0*(\d+)\.nii(\.gz)?", re.IGNORECASE)
_MASK = re.compile(r"mask[_-]?case[_-]?0*(\d+)\.nii(\.gz)?", re.IGNORECASE)
_FULL = 880  # columns of most images

_BONES = {name: value for value, name in enumerate(LEVELS, 1)}
# The challenge writes L5/S, but a label's name may become part of a file name.
_DISCS = {f"{upper}-{lower}": value
          for value, (lower, upper) in enumerate(pairwise(LEVELS), 11)}  # fmt: skip

# name -> value in the masks; values that the scheme sends to the background
SCHEMES: Mapping[str, tuple[Mapping[str, int], tuple[int, ...]]] = {
    "aspp": ({name: _BONES[name] for name in LEVELS[:8]}, (9, 10, *_DISCS.values())),
    "all": ({**_BONES, **_DISCS}, ()),
    "reversed": ({f"L{n}": n for n in range(1, 6)}, ()),
}


@dataclass(frozen=True)
class Options(Common):
    """Labels and crop of CSIG."""

    scheme: str = option(
        "all",
        "all: S, L5 to T9 and the discs; aspp: S, L5 to T11, the rest becomes background, as in the "
        "ASPP paper; reversed: copies of the dataset that number L1 to L5 as 1 to 5 (default: %(default)s)",
        choices=tuple(SCHEMES),
    )
    labels: Path | None = option(
        None, "file of label names and values, replaces the scheme", type=Path, metavar="JSON"
    )
    crop: int | None = option(
        None, f"columns to keep of {_FULL}, in proportion for other sizes; 464 in the ASPP paper",
        type=int, metavar="N",
    )  # fmt: skip

    def __post_init__(self) -> None:
        """Reject an invalid crop."""
        super().__post_init__()
        if self.crop is not None and not 16 <= self.crop <= _FULL:
            raise DatasetError(f"--crop {self.crop}: 16 to {_FULL} columns are allowed")


def find(source: Path, options: Options, id: int, name: str,
         progress: Progress | None) -> RawDataset:  # fmt: skip
    """Pair images and masks by number and return the dataset; writes nothing."""
    train = source
    while (train / "train").is_dir():  # an archive may contain a folder of its name
        train = train / "train"
    images, masks = find_folder(train, "MR"), find_folder(train, "Mask")
    pairs, problems = find_pairs(images, masks, partial(_key, _IMAGE), partial(_key, _MASK))
    labels = _labels(options)
    values = (labels.names.get(level) for level in LEVELS)
    upwards = [value for value in values if isinstance(value, int)]
    other = "all or aspp" if options.scheme == "reversed" else "reversed"
    fix = (
        f"pass another numbering (--scheme {other}, or --labels JSON), or correct the file if head "
        "and feet are exchanged"
    )
    content = Content(
        labels, verify=lambda files, mask: check_order(mask, upwards, str(files.mask), fix)
    )
    files = [
        Files(f"case{pair.key[0]}", str(pair.key[0]), (pair.image,), pair.mask) for pair in pairs
    ]
    found = collect(files, content, options, progress, problems)
    steps = (CropWidth(options.crop, _FULL),) if options.crop else ()
    return volume_dataset(id, name, found, options, ("T2",), steps=steps)


def _key(pattern: re.Pattern[str], name: str) -> Key | None:
    found = pattern.fullmatch(name)
    return (int(found[1]), "") if found else None


def _labels(options: Options) -> Labels:
    """Return the user's labels, or the scheme's without dropped values."""
    if options.labels is not None:
        return read_labels(options.labels, options.drop)
    names, background = SCHEMES[options.scheme]
    kept = {name: value for name, value in names.items() if value not in options.drop}
    return Labels(kept, drop=tuple(sorted({*background, *options.drop})))


CONVERTER = Converter(name="CSIG", options=Options, find=find)
convert = CONVERTER.convert
