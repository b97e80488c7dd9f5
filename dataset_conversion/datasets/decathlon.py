"""Bring a task of the Medical Segmentation Decathlon in (CC BY-SA 4.0, doi 10.1038/s41467-022-30695-9).

dataset.json lists `modality`, `labels` (value -> name), `training` (pairs of image and label) and
`test` (images). Images are `imagesTr/CASE.nii.gz`, with several channels 4D; labels are
`labelsTr/CASE.nii.gz`; archives made on a Mac hold `._` files, which are passed over. The Decathlon
does not state which cases are of one patient: `--groups` does.

Without dataset.json (a copy of the folders only) values are named `label 1`, `label 2`, ... unless
`--labels` names them.

Source: medicaldecathlon.com; arXiv 1902.09063 and the files of Task04, which were seen; those of
tasks with several channels were not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from dataset_conversion.datasets.converter import Converter
from dataset_conversion.datasets.dataset_json import (
    FILE,
    channel_names,
    count_notes,
    labels_in,
    listed_path,
    read_object,
)
from dataset_conversion.datasets.file_tree import volumes_below
from dataset_conversion.datasets.options import option
from dataset_conversion.datasets.source_files import check_folder, is_leftover
from dataset_conversion.datasets.volume_cases import Content, Files, collect
from dataset_conversion.datasets.volume_dataset import VolumeOptions, volume_dataset
from dataset_conversion.errors import DatasetError, together
from dataset_conversion.io.channels import read_channels
from dataset_conversion.labels import Labels, read_labels
from dataset_conversion.raw_format.raw_dataset import Progress, RawDataset

Pair = tuple[Path, Path | None]  # image and label map; None for a test image

_HU = -200  # lower values are taken for Hounsfield units
_ENDING = re.compile(r"\.(nii|nii\.gz|nrrd|mha)$", re.IGNORECASE)


@dataclass(frozen=True)
class Options(VolumeOptions):
    """Labels and channels, where dataset.json is missing or to be replaced."""

    labels: Path | None = option(
        None,
        "file of label names and values, replaces those of dataset.json",
        type=Path,
        metavar="JSON",
    )
    channels: tuple[str, ...] = option(
        (), "channel names such as CT, or T1 T2; replace the modality of dataset.json",
        type=str, nargs="+", metavar="NAME",
    )  # fmt: skip


def find(source: Path, options: Options, id: int, name: str,
         progress: Progress | None) -> RawDataset:  # fmt: skip
    """Pair images and labels and return the dataset; writes nothing."""
    check_folder(source, "a folder of the Decathlon such as Task04_Hippocampus")
    path = source / FILE
    entry = read_object(path) if path.is_file() else None
    volumes, problems = _volumes(source, options.follow_links)
    notes: list[str] = []
    if entry is None:
        pairs = _by_name(source, volumes)
    else:
        pairs = _listed(source, entry)
        tests = sum(mask is None for _, mask in pairs)
        notes += count_notes(entry, numTraining=len(pairs) - tests, numTest=tests)
    files, more = _files(pairs, volumes)
    problems += more
    if not files:
        raise together(
            [*problems, f"{source}: no image in imagesTr; pass the folder that holds it"]
        )
    channels = options.channels or None
    labels: Labels | Callable[[Collection[int]], Labels] = partial(_numbered, drop=options.drop)
    if entry is not None:
        channels = channels or channel_names(entry, path)
        labels = labels_in(entry, path, options.drop) if options.labels is None else labels
    elif options.labels is None:
        notes.append("no dataset.json: labels are named by their values; --labels names them")
    if options.labels is not None:
        labels = read_labels(options.labels, options.drop)
    if channels is None:
        channels = (_guarded(files[0].images[0]),)
        notes.append(f"no dataset.json: the channel is called {channels[0]}; --channels names it")
    if options.groups is None:
        notes.append("patients are not known: every case counts as one; --groups names follow-ups")
    found = collect(files, Content(labels, len(channels)), options, progress, problems)
    return volume_dataset(id, name, found, options, channels, notes=notes)


def _volumes(source: Path, follow_links: bool) -> tuple[set[Path], list[str]]:
    """Return all volumes in the folders of the Decathlon, and problems with other files."""
    volumes: set[Path] = set()
    problems: list[str] = []
    for folder in (source / name for name in ("imagesTr", "labelsTr", "imagesTs")):
        if folder.is_dir():
            found, more = volumes_below(folder, follow_links)
            volumes.update(found)
            problems += more
    return volumes, problems


def _by_name(source: Path, volumes: Collection[Path]) -> list[Pair]:
    """Pair the files of imagesTr and labelsTr that have one name."""
    pairs: list[Pair] = []
    for path in sorted(volumes):
        if path.parent.name == "imagesTr":
            pairs.append((path, source / "labelsTr" / path.name))
        elif path.parent.name == "imagesTs":
            pairs.append((path, None))
    return pairs


def _listed(source: Path, entry: Mapping[str, Any]) -> list[Pair]:
    """Return the pairs and the test images that dataset.json lists."""
    try:
        pairs: list[Pair] = [
            (listed_path(source, one["image"]), listed_path(source, one["label"]))
            for one in entry["training"]
        ]
        tests = [one["image"] if isinstance(one, dict) else one for one in entry.get("test", [])]
        pairs += [(listed_path(source, name), None) for name in tests]
        return [pair for pair in pairs if not is_leftover(pair[0].name)]
    except (TypeError, KeyError, AttributeError) as error:
        raise DatasetError(
            f"{source / FILE}: training must list pairs of image and label, and test images, as in "
            "the Decathlon's files; for nnU-Net's own format use convert nnunet"
        ) from error


def _files(pairs: Sequence[Pair], volumes: Collection[Path]) -> tuple[list[Files], list[str]]:
    """Return the cases whose files exist, and problems: missing files and files without a pair."""
    files: list[Files] = []
    problems: list[str] = []
    times = Counter(image for image, _ in pairs)
    for image, mask in pairs:
        if times[image] > 1:
            continue
        gone = [path for path in (image, mask) if path is not None and not path.is_file()]
        kind = "a label map without an image" if image in gone else "an image without a label map"
        if gone:
            problems.append(f"{gone[0]}: no such file, so there is {kind}; copy the dataset again, or "
                            "remove its entry and its other file")  # fmt: skip
            continue
        case = _ENDING.sub("", image.name)
        files.append(Files(case, f"case {case}", (image,), mask))
    problems += [f"{image}: {count} entries of dataset.json list this image; keep one"
                 for image, count in times.items() if count > 1]  # fmt: skip
    used = {path for pair in pairs for path in pair}
    problems += [f"{path}: no image, or no entry in dataset.json, belongs to it; remove or list it"
                 for path in sorted(volumes) if path not in used]  # fmt: skip
    return files, problems


def _numbered(values: Collection[int], drop: Collection[int]) -> Labels:
    """Return labels named by their values."""
    return Labels({f"label {v}": v for v in values if v and v not in drop}, drop=tuple(drop))


def _guarded(path: Path) -> str:
    """Return the channel name of images without dataset.json: MRI, unless they hold HU."""
    images, _ = read_channels(path)
    lowest = min(float(sitk.GetArrayViewFromImage(image).min()) for image in images)
    if len(images) > 1 or lowest < _HU:
        raise DatasetError(
            f"{path}: {len(images)} channels, lowest value {lowest:g}, and no dataset.json that states "
            "the modality; pass --channels, e.g. --channels CT"
        )
    return "MRI"


CONVERTER = Converter(name="Decathlon", options=Options, find=find)
convert = CONVERTER.convert
