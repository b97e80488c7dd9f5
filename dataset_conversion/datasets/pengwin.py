"""Convert PENGWIN pelvic fracture CT (task 1, CC BY 4.0) to nnU-Net's raw format.

`PENGWIN_CT_train_images_part1/001.mha`, `..._part2/` and `PENGWIN_CT_train_labels/001.mha` are
paired by number; a folder's name states whether it holds images or labels. Values: 1-10 sacrum,
11-20 left hip, 21-30 right hip, one value per fragment; here the fragments of a bone are joined.

Sources: pengwin.grand-challenge.org; Zenodo 10927452 (archives, labels); arXiv 2504.02382; public
code that reads the files, which agrees on names and values. The files themselves were not seen: so
the sides are verified from the positions of the labels. Each number is taken as one patient. Cite
arXiv 2504.02382 and doi 10.5281/zenodo.10927452.
"""

from __future__ import annotations

import re
from pathlib import Path

from dataset_conversion.cases.side_check import Sides, check_sides
from dataset_conversion.datasets.converter import Converter
from dataset_conversion.datasets.file_tree import Named, pairs_below
from dataset_conversion.datasets.label_schemes import merged
from dataset_conversion.datasets.volume_cases import Content, Files, collect
from dataset_conversion.datasets.volume_dataset import CTOptions, volume_dataset
from dataset_conversion.raw_format.raw_dataset import Progress, RawDataset

Options = CTOptions

BONES = {
    "sacrum": tuple(range(1, 11)),
    "left hip": tuple(range(11, 21)),
    "right hip": tuple(range(21, 31)),
}
_SIDES = Sides("hip", BONES["left hip"], BONES["right hip"], BONES["sacrum"])
_FIX = (
    "PENGWIN numbers the left hip 11-20 and the right hip 21-30: download the file again, or correct "
    "its labels or its header, whichever exchanges the sides"
)
_NAME = re.compile(r"0*(\d+)\.(mha|nii\.gz|nii)", re.I)


def find(source: Path, options: CTOptions, id: int, name: str,
         progress: Progress | None) -> RawDataset:  # fmt: skip
    """Pair images and labels by number and return the dataset; writes nothing."""
    expected = "the folder that holds PENGWIN_CT_train_images_part1/ and PENGWIN_CT_train_labels/"
    pairs, problems = pairs_below(source, _named, expected, options.follow_links)
    files = [Files(pair.scan, pair.scan, (pair.image,), pair.mask) for pair in pairs]
    content = Content(
        merged(BONES, options.drop),
        verify=lambda files, mask: check_sides(mask, _SIDES, str(files.mask), _FIX),
    )
    return volume_dataset(id, name, collect(files, content, options, progress, problems), options)


def _named(path: Path) -> Named | None:
    """Return scan and role of a file.

    >>> _named(Path("PENGWIN_CT_train_labels/007.mha"))
    Named(scan='pengwin_007', is_mask=True)
    """
    found = _NAME.fullmatch(path.name)
    folders = "/".join(path.parts[:-1]).lower()
    roles = [word for word in ("image", "label") if word in folders]
    if not found or len(roles) != 1:
        return None
    return Named(f"pengwin_{int(found[1]):03d}", roles == ["label"])


CONVERTER = Converter(name="PENGWIN", options=Options, find=find)
convert = CONVERTER.convert
