"""Bring an existing dataset of nnU-Net's raw format in: groups, splits by patient, checks, manifest.

`imagesTr/CASE_0000.nii.gz`, `labelsTr/CASE.nii.gz`, `imagesTs`, and `labelsTs` where present;
channels, labels, regions and the ignore label are those of dataset.json. Cases keep their names.
Endings other than those of volumes that this package reads (png, tif, ...) are refused.

Source: documentation/dataset_format.md of github.com/MIC-DKFZ/nnUNet, and its reader of
dataset.json, which also lists files under `dataset`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

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
from dataset_conversion.datasets.source_files import check_folder
from dataset_conversion.datasets.volume_cases import Content, Files, collect
from dataset_conversion.datasets.volume_dataset import VolumeOptions, volume_dataset
from dataset_conversion.errors import DatasetError
from dataset_conversion.io.volumes import READABLE
from dataset_conversion.raw_format.manifest import FILE as MANIFEST
from dataset_conversion.raw_format.raw_dataset import Progress, RawDataset
from dataset_conversion.raw_format.staging import SPLITS

Options = VolumeOptions


def find(source: Path, options: VolumeOptions, id: int, name: str,
         progress: Progress | None) -> RawDataset:  # fmt: skip
    """Find the files of each case and return the dataset; writes nothing."""
    check_folder(source, "a folder of nnU-Net's raw format, DatasetXXX_Name")
    path = source / FILE
    entry = read_object(path)
    channels = channel_names(entry, path)
    labels = labels_in(entry, path, options.drop)
    ending = _ending(entry, path)
    files: list[Files] = []
    problems: list[str] = []
    if isinstance(entry.get("dataset"), dict):
        files += _listed(source, entry["dataset"], path)
        folders = ["Ts"]
    else:
        folders = ["Tr", "Ts"]
    for folder in folders:
        cases, more = _cases(source, folder, ending, len(channels), options.follow_links)
        files += cases
        problems += more
    notes = _notes(source, entry, sum(one.subset != "test" and bool(one.mask) for one in files))
    content = Content(labels, len(channels))
    found = collect(_grouped(source, files), content, options, progress, problems)
    # References that saw a model's proposal, see nnunet_plugins.rounds; cases keep their names.
    ours = entry.get("nnunet_plugins")
    rounds = ours.get("rounds") if isinstance(ours, dict) else None
    settings = {"rounds": rounds} if rounds else {}
    return volume_dataset(id, name, found, options, channels, notes=notes, settings=settings)


def _ending(entry: Mapping[str, Any], path: Path) -> str:
    ending = entry.get("file_ending", ".nii.gz")
    if not isinstance(ending, str) or not ending.lower().endswith(READABLE):
        raise DatasetError(
            f"{path}: file_ending is {ending!r}; volumes are read ({', '.join(READABLE)}), 2D "
            "pictures and other formats are not: convert the files, or use the dataset as it is"
        )
    return ending


def _cases(source: Path, folder: str, ending: str,
           channels: int, links: bool) -> tuple[list[Files], list[str]]:  # fmt: skip
    """Return the cases of imagesTr and labelsTr, or of imagesTs and labelsTs, and problems."""
    images, problems = _by_case(
        source / f"images{folder}", rf"(.+)_(\d{{4}}){re.escape(ending)}", links
    )
    masks, more = _by_case(source / f"labels{folder}", rf"(.+)(){re.escape(ending)}", links)
    problems += more
    problems += [
        f"{path}: a label map without its image; add the image, or remove the label map"
        for case in sorted(set(masks) - set(images)) for path in masks[case].values()
    ]  # fmt: skip
    expected = [f"{number:04d}" for number in range(channels)]
    files = []
    for case, parts in sorted(images.items()):
        mask = masks.get(case, {}).get("")
        if sorted(parts) != expected:
            problems.append(
                f"{source / f'images{folder}'}: {case} has the channels {', '.join(sorted(parts))}; "
                f"dataset.json lists {', '.join(expected)}; add the missing files"
            )
        elif mask is None and folder == "Tr":
            problems.append(
                f"{parts[expected[0]]}: no label map in labelsTr; add it, or move the image to imagesTs"
            )
        else:
            paths = tuple(parts[number] for number in expected)
            files.append(Files(case, f"case {case}", paths, mask, "test" if folder == "Ts" else ""))
    return files, problems


def _by_case(folder: Path, pattern: str,
             follow_links: bool) -> tuple[dict[str, dict[str, Path]], list[str]]:  # fmt: skip
    """Return case -> number of the channel -> file, and problems with other files."""
    if not folder.is_dir():
        return {}, []
    found: dict[str, dict[str, Path]] = {}
    paths, problems = volumes_below(folder, follow_links)
    for path in paths:
        match = re.fullmatch(pattern, path.name)
        if match and path.parent == folder:
            found.setdefault(match[1], {})[match[2]] = path
        else:
            problems.append(
                f"{path}: belongs to no case; rename it as dataset.json requires, or remove it"
            )
    return found, problems


def _listed(source: Path, entries: Mapping[str, Any], path: Path) -> Iterator[Files]:
    """Yield the training cases that dataset.json lists one by one."""
    for case, entry in sorted(entries.items()):
        try:
            images = tuple(listed_path(source, name) for name in entry["images"])
            yield Files(case, f"case {case}", images, listed_path(source, entry["label"]))
        except (TypeError, KeyError, AttributeError) as error:
            raise DatasetError(
                f"{path}: case {case!r} requires images (a list) and label, as in nnU-Net's documentation"
            ) from error


def _grouped(source: Path, files: list[Files]) -> list[Files]:
    """Return the files with the patients that an earlier conversion by this package recorded."""
    path = source / MANIFEST
    patients = read_object(path).get("patients", {}) if path.is_file() else {}
    return [
        replace(one, group=f"patient {patients[one.name]}") if one.name in patients else one
        for one in files
    ]


def _notes(source: Path, entry: Mapping[str, Any], training: int) -> list[str]:
    notes = count_notes(entry, numTraining=training)
    if (source / SPLITS).is_file():
        notes.append(f"{SPLITS} of the source is not used: the folds are drawn again, by patient")
    return notes


CONVERTER = Converter(name="Raw", options=Options, find=find)
convert = CONVERTER.convert
