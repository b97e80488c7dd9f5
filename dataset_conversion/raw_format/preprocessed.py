"""Whether the data in nnUNet_preprocessed come from the raw dataset as it is now.

nnU-Net copies dataset.json when it plans, and the label maps (gt_segmentations) when it preprocesses; a later
conversion, or a corrected mask, leaves both and the preprocessed cases as they are. `plan` records a digest of the
raw dataset with the cases of each configuration. Data without it, which nnU-Net's own commands made, are compared
by dataset.json, names of cases and label maps.
"""

from __future__ import annotations

import filecmp
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dataset_conversion.errors import DatasetError, reading, some
from dataset_conversion.io.atomic_files import digest, digest_json, to_json
from dataset_conversion.raw_format.manifest import read_json, read_manifest
from dataset_conversion.raw_format.staging import DATASET

#: nnU-Net's copies of the label maps.
REFERENCES = "gt_segmentations"
#: In the folder of a configuration's cases; nnU-Net reads the files there, not the folders, and removes the folder
#: when it preprocesses again.
_RECORD = Path("nnunet_plugins", "source.json")
_SHOWN = ("labels", "regions_class_order", "channel_names", "file_ending")


def source_digest(raw: Path) -> str:
    """Return a digest of a raw dataset's training cases: labels by content, images by size and by the manifest.

    Images are not read, since this runs at the start of every training; the manifest of a converted dataset holds
    their digests.

    Args:
        raw: `Dataset<id>_<name>` in nnUNet_raw.

    Raises:
        DatasetError: a file cannot be read.
    """
    dataset = read_json(raw / DATASET)
    known = _manifest_digests(raw)
    cases = {}
    for name, (images, label) in _cases(raw, dataset).items():
        sizes = {image.name: _size(image) for image in images}
        written = [known.get(f"imagesTr/{image}") for image in sizes]
        cases[name] = [digest(label) if label.is_file() else "", sizes, written]
    return digest_json([{key: dataset.get(key) for key in _SHOWN}, cases])


def remember_source(data: Path, found: str) -> None:
    """Record with the cases of a configuration which raw dataset they were made from.

    `data` is the configuration's folder in nnUNet_preprocessed; `found` was taken before preprocessing.
    """
    (data / _RECORD).parent.mkdir(exist_ok=True)
    (data / _RECORD).write_text(to_json({"dataset": found}), encoding="utf-8")


def recorded_source(data: Path) -> str | None:
    """Return what `remember_source` recorded; None without a readable record."""
    try:
        found = read_json(data / _RECORD).get("dataset")
    except DatasetError:
        return None
    return found if isinstance(found, str) else None


def outdated(raw: Path, preprocessed: Path) -> dict[str, str]:
    """Return the folders of preprocessed cases that do not come from the dataset as it is now, and why.

    The folder in nnUNet_preprocessed may be missing.

    Raises:
        DatasetError: a file cannot be read.
    """
    folders = [
        folder
        for folder in (sorted(preprocessed.iterdir()) if preprocessed.is_dir() else [])
        if folder.is_dir() and folder.name != REFERENCES and any(folder.glob("*.pkl"))
    ]
    if not folders or not (raw / DATASET).is_file():
        return {}
    now, found = source_digest(raw), {}
    for folder in folders:
        recorded = recorded_source(folder)
        if recorded is None:
            why = _difference(raw, preprocessed, folder)
        else:
            why = "" if recorded == now else "the dataset has changed since they were made"
        if why:
            found[folder.name] = why
    return found


def outdated_note(raw: Path, preprocessed: Path) -> str | None:
    """Return `outdated` as one sentence with the fix; None if all data are up to date."""
    found = outdated(raw, preprocessed)
    if not found:
        return None
    reasons = "; ".join(dict.fromkeys(found.values()))
    return (
        f"{preprocessed}: {', '.join(found)} hold preprocessed cases of an earlier version of this dataset "
        f"({reasons}); before training, plan again with the same options and --force: nnunet-plugins plan "
        f"{raw.resolve().name} --network NAME --force (nnU-Net's own plans: nnUNetv2_plan_and_preprocess)"
    )


def drop_outdated_references(raw: Path, preprocessed: Path) -> None:
    """Remove nnU-Net's copies of label maps that differ from the dataset's.

    nnU-Net only replaces a copy that is older than the original, which leaves incomplete copies of an interrupted
    run, and the old copy where a mask with an older date has been put back.
    """
    for _, label in _cases(raw, read_json(raw / DATASET)).values():
        copy = preprocessed / REFERENCES / label.name
        if copy.is_file() and not (label.is_file() and _same(label, copy)):
            copy.unlink()


def _difference(raw: Path, preprocessed: Path, data: Path) -> str:
    """Return how data without a record differ from the raw dataset, as far as nnU-Net's copies show."""
    ours, theirs = (_shown(folder / DATASET) for folder in (raw, preprocessed))
    changed = [key for key in ours if ours[key] != theirs.get(key)]
    if changed:
        return f"dataset.json differs: {', '.join(changed)}"
    cases = _cases(raw, read_json(raw / DATASET))
    stored = {path.stem for path in data.glob("*.pkl")}
    if stored != set(cases):
        return f"other cases: {some(sorted(stored ^ set(cases)))}"
    references = preprocessed / REFERENCES
    for name, (_, label) in cases.items():
        copy = references / label.name
        if copy.is_file() and label.is_file() and not _same(label, copy):
            return f"the mask of {name} differs"
    return ""


def _shown(path: Path) -> dict[str, Any]:
    """Return what a dataset.json states about its images and labels, with our converters' entry."""
    try:
        content = read_json(path)
    except DatasetError:
        return {}
    return {key: content.get(key) for key in (*_SHOWN, "nnunet_plugins")}


def _cases(raw: Path, dataset: Mapping[str, Any]) -> dict[str, tuple[list[Path], Path]]:
    """Return case -> (images, label map), as nnU-Net finds them."""
    listed, ending = dataset.get("dataset"), str(dataset.get("file_ending"))
    if isinstance(listed, dict):
        return dict(_listed(raw, listed))
    images: dict[str, list[Path]] = {}
    for path in sorted((raw / "imagesTr").glob(f"*_????{ending}")):
        images.setdefault(path.name[: -len(ending) - 5], []).append(path)
    return {name: (found, raw / "labelsTr" / f"{name}{ending}") for name, found in images.items()}


def _listed(raw: Path, listed: Mapping[str, Any]) -> Iterator[tuple[str, tuple[list[Path], Path]]]:
    for name, entry in listed.items():
        try:
            files = [raw / os.path.expandvars(file) for file in (*entry["images"], entry["label"])]
        except (KeyError, TypeError) as error:
            raise DatasetError(
                f"{raw / DATASET}: dataset, case {name}: images or label missing"
            ) from error
        yield name, (files[:-1], files[-1])


def _manifest_digests(raw: Path) -> dict[str, Any]:
    try:
        cases = read_manifest(raw).get("cases", {})
        return {file: found for case in cases.values() for file, found in case["files"].items()}
    except (DatasetError, AttributeError, KeyError, TypeError):  # `check` reports it
        return {}


def _same(one: Path, other: Path) -> bool:
    with reading(one):
        return filecmp.cmp(one, other, shallow=False)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1
