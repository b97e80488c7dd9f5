"""Cases of public datasets: image files with a label map each, verified before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from dataset_conversion.cases.case import Case, Sample
from dataset_conversion.cases.preprocess import check_not_empty
from dataset_conversion.datasets.options import Common
from dataset_conversion.datasets.paired_folders import checked
from dataset_conversion.datasets.scan import Collected, scan
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.atomic_files import digest
from dataset_conversion.io.channels import read_channel_header, read_channels
from dataset_conversion.io.file_stamps import Stamp, check_stamp, stamp
from dataset_conversion.io.label_maps import LabelMap, read_mask
from dataset_conversion.io.volumes import read_header, read_image
from dataset_conversion.labels import Labels
from dataset_conversion.raw_format.raw_dataset import Progress

_GRID = 1e-3  # mm by which the grids of channels may differ


@dataclass(frozen=True)
class Files:
    """The files of one case, and what the dataset states about it.

    Attributes:
        name: case id.
        group: cases of one group (a patient) stay in one fold.
        images: one file per channel, or one file with all channels.
        mask: None for a test image.
        subset: the dataset's own subset: train, val, test, or "".
    """

    name: str
    group: str
    images: tuple[Path, ...]
    mask: Path | None = None
    subset: str = ""

    @property
    def where(self) -> str:
        """The first image, for messages."""
        return str(self.images[0])

    def roles(self) -> dict[str, Path]:
        """Return role -> file, as recorded in the manifest."""
        several = len(self.images) > 1
        found = {f"image {i}" if several else "image": p for i, p in enumerate(self.images)}
        return {**found, "mask": self.mask} if self.mask else found


#: Reads a mask with the source's values; raises DatasetError.
ReadMask = Callable[[Files, Path], LabelMap]
#: Verifies the positions of a mask's labels and returns notes; raises DatasetError.
Verify = Callable[[Files, sitk.Image], Sequence[str]]


@dataclass(frozen=True)
class Content:
    """How the files of a dataset are read.

    Attributes:
        labels: names and values, or a function of all values that occur in the masks.
        channels: number of channels of a case.
        read_mask: see `ReadMask`.
        verify: see `Verify`; once, in the scan.
    """

    labels: Labels | Callable[[Collection[int]], Labels]
    channels: int = 1
    read_mask: ReadMask = lambda files, mask: read_mask(mask)
    verify: Verify = lambda files, mask: ()


@dataclass(frozen=True)
class _Found:
    """One case's files with digests, size, the values of its mask, and the notes on it."""

    files: Files
    sources: dict[str, str]
    voxels: int
    values: tuple[int, ...]
    notes: tuple[str, ...]
    stamp: Stamp


def collect(files: Sequence[Files], content: Content, options: Common, progress: Progress | None,
            problems: Sequence[str] = ()) -> Collected:  # fmt: skip
    """Scan files: headers, digests, masks and their values.

    Raises:
        DatasetError: all problems together, unless the run keeps going; see `stop_at`.
    """
    later = replace(options, keep_going=True)  # all problems are reported at the end
    found, more = scan(files, partial(_look, content=content), later, progress, problems)
    labels = content.labels
    if not isinstance(labels, Labels):
        labels = labels(sorted({value for item in found for value in item.values}))
    found, wrong = _with_known_values(found, labels, options)
    cases = [_case(item, content) for item in found]
    # Of several channels, one may be equal on purpose: their copies are found by their voxels.
    images = ["image"] if content.channels == 1 else []
    cases, problems = checked(cases, images, [*more, *wrong], options)
    unmasked = sum(not case.labelled for case in cases)
    notes = [f"images without a mask, written to imagesTs: {unmasked}"] if unmasked else []
    return Collected(cases, labels, notes, list(problems))


def _look(files: Files, content: Content) -> _Found:
    """Read headers, digests and the mask of one case."""
    single = content.channels == 1
    known = stamp(files.roles().values())
    headers = [(read_header(path), 1) if single else read_channel_header(path)
               for path in files.images]  # fmt: skip
    channels = sum(count for _, count in headers)
    if channels != content.channels:
        raise DatasetError(
            f"{files.where}: {channels} channels in {len(headers)} files; the dataset has "
            f"{content.channels}; add or remove channels, or correct dataset.json"
        )
    first = headers[0][0]
    for path, (header, _) in zip(files.images, headers, strict=True):
        if header.size != first.size or np.abs(header.matrix - first.matrix).max() > _GRID:
            raise DatasetError(f"{path}: is on another grid than {files.where}; resample it")
    values: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    if files.mask:
        mask = content.read_mask(files, files.mask)
        values, notes = tuple(mask.values), tuple(content.verify(files, mask.image))
    sources = {role: digest(path) for role, path in files.roles().items()}
    return _Found(files, sources, first.voxels, values, notes, known)


def _with_known_values(found: Sequence[_Found], labels: Labels,
                       options: Common) -> tuple[list[_Found], list[str]]:  # fmt: skip
    """Return the cases whose masks hold known labels only, and at least one of them."""
    good, problems = [], []
    none = {0, labels.ignore, *labels.drop}
    for item in found:
        try:
            if item.files.mask:
                labels.check(item.values, str(item.files.mask))
                has_label = bool(set(item.values) - none)
                check_not_empty(has_label, options.allow_empty, str(item.files.mask))
            good.append(item)
        except DatasetError as error:
            problems.append(str(error))
    return good, problems


def _case(item: _Found, content: Content) -> Case:
    files = item.files
    return Case(
        name=files.name,
        group=files.group,
        where=files.where,
        sources=item.sources,
        labelled=files.mask is not None,
        voxels=item.voxels,
        load=partial(_load, item, content),
        subset=files.subset,
    )


def _load(item: _Found, content: Content) -> Sample:
    """Read the channels and the mask, which was verified in the scan."""
    files = item.files
    images: list[sitk.Image] = []
    notes: list[str] = []
    for path in files.images:
        if content.channels == 1:
            image, more = read_image(path)
            images.append(image)
        else:
            channels, more = read_channels(path)
            images += channels
        notes += more
    mask = content.read_mask(files, files.mask) if files.mask else None
    check_stamp(item.stamp)
    if mask is None:
        return Sample(tuple(images), None, tuple(notes))
    return Sample(tuple(images), mask.image, (*notes, *mask.notes, *item.notes))
