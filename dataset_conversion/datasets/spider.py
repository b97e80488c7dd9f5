"""Convert SPIDER lumbar MRI (Zenodo 10159290, arXiv 2306.12217) to nnU-Net's raw format.

Names are `<patient>_t1.mha`, `<patient>_t2.mha`, `<patient>_t2_SPACE.mha` in images/ and masks/;
.mhd with .raw is read too.
Vertebrae are numbered upwards from the lowest visible one, which may be L4, L5 or L6: a label
does not imply a level of the spine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.cases.case import Case, Sample
from dataset_conversion.cases.padding import without_padding
from dataset_conversion.cases.transforms import CentralSlice
from dataset_conversion.datasets.converter import Converter
from dataset_conversion.datasets.label_schemes import merged
from dataset_conversion.datasets.level_order import check_order
from dataset_conversion.datasets.options import Common, option
from dataset_conversion.datasets.paired_folders import Key, Pair, checked, find_folder, find_pairs
from dataset_conversion.datasets.scan import Collected, scan
from dataset_conversion.datasets.spider_overview import SEQUENCES, key_of, read_subsets
from dataset_conversion.datasets.volume_dataset import volume_dataset
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.file_stamps import Stamp, check_stamp, stamp
from dataset_conversion.io.label_maps import read_mask
from dataset_conversion.io.volumes import read_header, read_image
from dataset_conversion.raw_format.raw_dataset import Progress, RawDataset

_CANAL, _MOST = 100, 9
# 101 and above: partly visible vertebrae.
_VERTEBRAE = (*range(1, 26), *range(101, 126))
_DISCS = tuple(range(201, 226))

SCHEMES: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "binary": {"spine": (*_VERTEBRAE, _CANAL, *_DISCS)},
    "four": {"vertebra": _VERTEBRAE, "canal": (_CANAL,), "disc": _DISCS},
    "instances": {
        **{f"vertebra {n}": (n,) for n in range(1, _MOST + 1)},
        "canal": (_CANAL,),
        **{f"disc {n}": (200 + n,) for n in range(1, _MOST + 1)},
    },
}


@dataclass(frozen=True)
class Options(Common):
    """Sequences and labels of SPIDER."""

    scheme: str = option(
        "four",
        "binary: spine; four: vertebra, canal, disc; instances: vertebrae and discs numbered from "
        "the lowest (default: %(default)s)",
        choices=tuple(SCHEMES),
    )
    sequences: tuple[str, ...] = option(
        SEQUENCES, "sequences to convert (default: all)", nargs="+", type=str, choices=SEQUENCES
    )
    channels: bool = option(
        False, "make T1 and T2 the channels of one case, for patients whose series share a grid"
    )
    central_slice: bool = option(False, "keep only the central sagittal slice: a 2D dataset")


@dataclass(frozen=True)
class _Series:
    """One series: files, digests, grid."""

    pair: Pair
    sources: dict[str, str]
    size: tuple[int, int, int]
    matrix: np.ndarray
    stamp: Stamp

    @property
    def sequence(self) -> str:
        return self.pair.key[1]

    @property
    def name(self) -> str:
        return f"{self.pair.key[0]}_{self.sequence}"


def find(source: Path, options: Options, id: int, name: str,
         progress: Progress | None) -> RawDataset:  # fmt: skip
    """Pair images and masks, read overview.csv, and return the dataset; writes nothing."""
    sequences = _sequences(options)
    images = find_folder(source, "images")
    masks = find_folder(source, "masks")
    pairs, problems = find_pairs(images, masks, key_of, key_of)
    pairs = [pair for pair in pairs if pair.key[1] in sequences]
    if not pairs:
        raise DatasetError(f"{images}: contains no series of {', '.join(sequences)}")
    subsets, notes = read_subsets(images.parent, pairs)
    series, more = scan(pairs, _look, options, progress)
    if options.channels:
        cases, skipped = _stacked(series, sequences, subsets)
        notes += skipped
    else:
        cases = [_case(item.name, [item], subsets) for item in series]
    cases, problems = checked(cases, ("image", *sequences), [*problems, *more], options)
    labels = merged(SCHEMES[options.scheme], options.drop)
    flat = options.central_slice
    return volume_dataset(
        id,
        name,
        Collected(cases, labels, notes, problems),
        options,
        _channel_names(options, sequences),
        steps=(CentralSlice(),) if flat else (),
        # nnU-Net expects the slices along the first axis of the array (z, y, x): z must run sideways.
        orientation="PIR" if flat else "LPS",
        settings={"scheme": options.scheme, "padding": "-1000 -> 0"},
    )


def _sequences(options: Options) -> tuple[str, ...]:
    """Return the requested sequences, in the order of `SEQUENCES`."""
    requested = tuple(s for s in SEQUENCES if s in options.sequences)
    if not options.channels:
        return requested
    if requested == SEQUENCES:
        return ("t1", "t2")  # SPACE never shares the others' grid
    if len(requested) < 2:
        raise DatasetError("--channels: two or more sequences are required, such as t1 t2")
    return requested


def _channel_names(options: Options, sequences: Sequence[str]) -> tuple[str, ...]:
    shown = tuple(sequence.upper() for sequence in sequences)
    return shown if options.channels or len(shown) == 1 else ("MRI",)


def _look(pair: Pair) -> _Series:
    header = read_header(pair.image)
    known = stamp(path for path in (pair.image, pair.mask) if path)
    return _Series(pair, pair.digests(), header.size, header.matrix, known)


def _case(name: str, series: Sequence[_Series], subsets: Mapping[Key, str]) -> Case:
    """Make a case of one series, or of several as channels; the last mask is used."""
    last = next((item for item in reversed(series) if item.pair.mask), series[-1])
    sources = last.sources
    if len(series) > 1:
        sources = {item.sequence: item.sources["image"] for item in series}
        sources.update({f"mask {i.sequence}": i.sources["mask"] for i in series if i.pair.mask})
    return Case(
        name=name,
        group=str(last.pair.key[0]),
        where=" and ".join(str(item.pair.image) for item in series),
        sources=sources,
        labelled=last.pair.mask is not None,
        voxels=int(np.prod(last.size)),
        load=partial(_load, series),
        subset=subsets.get(last.pair.key, ""),
    )


def _stacked(series: Sequence[_Series], sequences: Sequence[str],
             subsets: Mapping[Key, str]) -> tuple[list[Case], list[str]]:  # fmt: skip
    """Make one case per patient whose series share a grid; note the patients left out."""
    patients: dict[int, dict[str, _Series]] = {}
    for item in series:
        patients.setdefault(item.pair.key[0], {})[item.sequence] = item
    cases, incomplete, mismatched = [], [], []
    for number, own in patients.items():
        if set(own) != set(sequences):
            incomplete.append(number)
            continue
        stack = [own[sequence] for sequence in sequences]
        first = stack[0]
        if all(
            i.size == first.size and np.allclose(i.matrix, first.matrix, atol=1e-3) for i in stack
        ):
            cases.append(_case(f"{number}_{'_'.join(sequences)}", stack, subsets))
        else:
            mismatched.append(number)
    notes = []
    if incomplete:
        notes.append(
            f"patients without all of {', '.join(sequences)}, left out: {_few(incomplete)}"
        )
    if mismatched:
        notes.append(f"patients whose series have different grids, left out: {_few(mismatched)}")
    if not cases:
        raise DatasetError(
            f"--channels: no patient has {' and '.join(sequences)} on one grid ({'; '.join(notes)}); "
            "convert them as separate cases"
        )
    return cases, notes


def _few(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:10])) + (", ..." if len(numbers) > 10 else "")
    return f"{len(numbers)} ({shown})"


def _load(series: Sequence[_Series]) -> Sample:
    """Read the channels, remove the padding, and read the mask; they must be those that were hashed."""
    sample = _read([item.pair for item in series])
    for item in series:
        check_stamp(item.stamp)
    return sample


def _read(pairs: Sequence[Pair]) -> Sample:
    images: list[sitk.Image] = []
    notes: list[str] = []
    for pair in pairs:
        image, more = read_image(pair.image)
        image, padded = without_padding(image)
        images.append(image)
        notes += [*more, *([padded] if padded and padded not in notes else [])]
    drawn = [(pair.mask, pair.key[1]) for pair in pairs if pair.mask]
    if not drawn:
        return Sample(tuple(images), None, tuple(notes))
    path = drawn[-1][0]
    mask = read_mask(path)
    notes += [*mask.notes, *_ordered(mask.image, path)]
    for other, sequence in drawn[:-1]:
        notes += _difference(mask.image, read_mask(other).image, sequence)
    return Sample(tuple(images), mask.image, tuple(notes))


def _ordered(mask: sitk.Image, path: Path) -> list[str]:
    fix = "SPIDER counts from the lowest; check whether head and feet are exchanged in the file"
    return check_order(mask, range(1, 26), str(path), fix)


def _difference(mask: sitk.Image, other: sitk.Image, sequence: str) -> list[str]:
    """Note how far the mask of another channel differs from the one used."""
    if other.GetSize() != mask.GetSize():
        return [f"the mask of {sequence} has another size and was not compared"]
    one, two = sitk.GetArrayViewFromImage(mask), sitk.GetArrayViewFromImage(other)
    either = int(np.count_nonzero((one > 0) | (two > 0)))
    share = int(np.count_nonzero(one != two)) / max(either, 1)
    return [f"the mask of {sequence} differs in {share:.1%} of its voxels"] if share > 0.01 else []


CONVERTER = Converter(name="SPIDER", options=Options, find=find)
convert = CONVERTER.convert
