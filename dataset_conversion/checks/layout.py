"""Cases and files in a folder of nnU-Net's raw format, with findings on names and small files.

Volumes are not read here but by `check`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dataset_conversion.cases.intensities import Intensities
from dataset_conversion.cases.measures import Measures
from dataset_conversion.checks.finding import Finding
from dataset_conversion.checks.preprocessed import in_preprocessed
from dataset_conversion.checks.splits import against_preprocessed, in_splits
from dataset_conversion.errors import DatasetError, some
from dataset_conversion.json_text import parse_json
from dataset_conversion.labels import BACKGROUND, IGNORE, label_values, values_of
from dataset_conversion.raw_format.manifest import FILE as MANIFEST
from dataset_conversion.raw_format.manifest import records

NATURAL = (".png", ".bmp", ".tif", ".tiff")  # one file may hold several channels


@dataclass(frozen=True)
class RawCase:
    """One case: its image files in the order of channels, and its label map."""

    name: str
    images: tuple[Path, ...]
    label: Path | None
    training: bool


@dataclass
class Layout:
    """A dataset's folder.

    Attributes:
        cases: training and test cases.
        channels: number of channels.
        channel_names: in the order of channels.
        labels: name -> values.
        digests: file -> SHA-256 at the conversion, if there is a manifest.
        facts: image -> facts on its source's values, if there is a manifest.
        measures: case -> what shows implausible data, if there is a manifest.
        patients: case -> number of the patient, if there is a manifest.
        allow_empty: whether the conversion accepted masks without a label.
        sides_as_labelled: whether the conversion accepted exchanged sides.
        orientation: that the conversion recorded in dataset.json, e.g. LPS or slices-first; "" if none.
        findings: on names and small files.
    """

    folder: Path
    cases: list[RawCase] = field(default_factory=list)
    channels: int = 1
    channel_names: tuple[str, ...] = ()
    labels: dict[str, tuple[int, ...]] = field(default_factory=dict)
    digests: dict[Path, str] = field(default_factory=dict)
    facts: dict[Path, Intensities] = field(default_factory=dict)
    measures: dict[str, Measures] = field(default_factory=dict)
    patients: dict[str, int] = field(default_factory=dict)
    allow_empty: bool = False
    sides_as_labelled: bool = False
    orientation: str = ""
    findings: list[Finding] = field(default_factory=list)

    def find(self, text: str, error: bool = True) -> None:
        """Add a finding."""
        self.findings.append(Finding(text, error=error))


def read_layout(folder: Path, preprocessed: Path | None = None) -> Layout:
    """Read the layout of a dataset's folder.

    Splits and preprocessed cases are compared with those in `preprocessed` (nnUNet_preprocessed).

    Raises:
        DatasetError: no such folder, or no readable dataset.json.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder; give a dataset of nnUNet_raw")
    layout = Layout(folder)
    entry = _object(folder / "dataset.json")
    _check_name(layout)
    layout.channel_names = _channels(layout, entry)
    layout.channels = max(1, len(layout.channel_names))
    layout.labels = _labels(layout, entry)
    layout.orientation = _orientation(entry)
    ending = entry.get("file_ending")
    if not isinstance(ending, str) or not ending.startswith("."):
        layout.find(f"dataset.json: file_ending is {ending!r}; expected e.g. .nii.gz")
        ending = ".nii.gz"
    if isinstance(entry.get("dataset"), dict):
        layout.cases = _listed(layout, entry["dataset"])
    else:
        layout.cases = _training(layout, ending)
    if (folder / "imagesTs").is_dir():
        layout.cases += _test(layout, ending)
    training = [case.name for case in layout.cases if case.training]
    if entry.get("numTraining") != len(training):
        layout.find(
            f"dataset.json: numTraining is {entry.get('numTraining')!r}, but there are {len(training)} "
            "training cases; nnU-Net stops at this"
        )
    _read_manifest(layout)
    layout.findings += in_splits(folder, training, layout.patients)
    layout.findings += against_preprocessed(folder, preprocessed)
    layout.findings += in_preprocessed(folder, preprocessed)
    return layout


def _object(path: Path) -> dict[str, Any]:
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        why = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error})"
        raise DatasetError(f"{path}: {why}; every nnU-Net dataset has one") from error
    if not isinstance(content, dict):
        raise DatasetError(f"{path}: expected a JSON object")
    return content


def _check_name(layout: Layout) -> None:
    found = re.fullmatch(r"(Dataset\d{3})_.+", layout.folder.resolve().name)
    if not found:
        layout.find(
            f"folder name {layout.folder.resolve().name!r}; nnU-Net expects DatasetXXX_Name",
            error=False,
        )
        return
    twins = [p.name for p in layout.folder.resolve().parent.glob(f"{found[1]}*")
             if p.is_dir() and p.name != layout.folder.resolve().name]  # fmt: skip
    if twins:
        layout.find(f"{', '.join(twins)}: another folder next to it has the same dataset id")


def _channels(layout: Layout, entry: Mapping[str, Any]) -> tuple[str, ...]:
    names = entry.get("channel_names", entry.get("modality"))
    if not isinstance(names, dict) or not names:
        layout.find('dataset.json: channel_names is missing; expected e.g. {"0": "CT"}')
        return ()
    if sorted(names) != sorted(str(i) for i in range(len(names))):
        layout.find(f"dataset.json: channel_names has the keys {sorted(names)}; expected 0, 1, ...")
        return ("",) * len(names)
    return tuple(str(names[str(i)]) for i in range(len(names)))


def _orientation(entry: Mapping[str, Any]) -> str:
    recorded = entry.get("nnunet_plugins")
    found = recorded.get("orientation") if isinstance(recorded, dict) else None
    return found if isinstance(found, str) else ""


def _labels(layout: Layout, entry: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    found = entry.get("labels")
    if not isinstance(found, dict):
        layout.find("dataset.json: labels is missing")
        return {}
    try:
        labels = {name: values_of(value) for name, value in label_values(found).items()}
    except DatasetError as error:
        layout.find(f'dataset.json: label {error} (nnU-Net v1 had {{"1": "name"}}, reversed)')
        return {}
    if labels.get(BACKGROUND) != (0,):
        layout.find("dataset.json: labels requires background with the value 0")
    values = sorted({v for parts in labels.values() for v in parts})
    if values != list(range(len(values))):
        layout.find(f"dataset.json: label values {values} are not 0, 1, 2, ... without gaps")
    regions = [n for n, parts in labels.items() if len(parts) > 1]
    if regions and not entry.get("regions_class_order"):
        layout.find(f"dataset.json: regions {regions} require regions_class_order")
    if IGNORE in labels and labels[IGNORE] != (max(values),):
        layout.find("dataset.json: ignore must have the highest value")
    return labels


def _training(layout: Layout, ending: str) -> list[RawCase]:
    images = _images(layout, "imagesTr", ending)
    labels = _files(layout, "labelsTr", ending, re.compile(r"(.+)"))
    orphans = sorted(set(labels) - set(images))
    if orphans:
        layout.find(f"labelsTr: {some(orphans)} have no image")
    without = sorted(set(images) - set(labels))
    if without:
        layout.find(f"imagesTr: {some(without)} have no label map in labelsTr")
    _check_case_of_letters(layout, images)
    return [RawCase(n, images[n], labels.get(n, (None,))[0], True) for n in sorted(images)]


def _test(layout: Layout, ending: str) -> list[RawCase]:
    images = _images(layout, "imagesTs", ending)
    labels = _files(layout, "labelsTs", ending, re.compile(r"(.+)"), strict=False)
    trained = sorted(set(images) & {case.name for case in layout.cases})
    if trained:
        layout.find(f"{some(trained)} are in imagesTs and in the training set")
    return [RawCase(n, images[n], labels.get(n, (None,))[0], False) for n in sorted(images)]


def _listed(layout: Layout, entries: Mapping[str, Any]) -> list[RawCase]:
    """Return the cases that dataset.json lists one by one."""
    cases = []
    for name, entry in sorted(entries.items()):
        try:
            images = tuple(layout.folder / path for path in entry["images"])
            cases.append(RawCase(name, images, layout.folder / entry["label"], True))
        except (TypeError, KeyError):
            layout.find(f"dataset.json: case {name!r} requires images (a list) and label")
    return cases


def _images(layout: Layout, folder: str, ending: str) -> dict[str, tuple[Path, ...]]:
    found = _files(layout, folder, ending, re.compile(r"(.+)_(\d{4})"))
    expected = range(1 if ending in NATURAL else layout.channels)
    for name, paths in found.items():
        numbers = [int(path.name[: -len(ending)][-4:]) for path in paths]
        if ending not in NATURAL and numbers != list(expected):
            layout.find(
                f"{folder}: {name} has the channels {numbers}; dataset.json lists "
                f"{len(expected)}: {', '.join(f'_{i:04d}' for i in expected)}"
            )
    return found


def _files(layout: Layout, folder: str, ending: str, pattern: re.Pattern[str],
           strict: bool = True) -> dict[str, tuple[Path, ...]]:  # fmt: skip
    """Return case -> files of a folder; other files become findings, as nnU-Net takes them for cases."""
    found: dict[str, list[Path]] = {}
    invalid, others = [], []
    place = layout.folder / folder
    if not place.is_dir():
        if strict:
            layout.find(f"{folder}: no such folder")
        return {}
    for path in sorted(place.iterdir()):
        if not path.name.endswith(ending):
            if not path.name.startswith("."):
                others.append(path.name)
            continue
        match = pattern.fullmatch(path.name[: -len(ending)])
        if match is None or path.name.startswith(".") or ".tmp" in path.name:
            invalid.append(path.name)
        else:
            found.setdefault(match[1], []).append(path)
    if invalid:
        layout.find(
            f"{folder}: {some(invalid)} belong to no case, but nnU-Net takes them for cases"
        )
    if others and strict:
        layout.find(f"{folder}: {some(others)} do not end in {ending} and are ignored", error=False)
    return {name: tuple(paths) for name, paths in found.items()}


def _check_case_of_letters(layout: Layout, names: Iterable[str]) -> None:
    seen: dict[str, str] = {}
    for name in sorted(names):
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            layout.find(f"{other} and {name} differ only in upper and lower case")


def _read_manifest(layout: Layout) -> None:
    """Read the manifest of a conversion, if there is one."""
    path = layout.folder / MANIFEST
    if not path.is_file():
        return
    try:
        manifest = _object(path)
        known = records(manifest)
        facts = {name: record.facts() for name, record in known.items()}
        settings = manifest.get("settings", {})
        layout.allow_empty = bool(settings.get("allow_empty"))
        layout.sides_as_labelled = bool(settings.get("sides_as_labelled"))
        layout.measures = {n: record.measured() for n, record in known.items() if record.measures}
        layout.patients = manifest.get("patients", {})
    except (DatasetError, AttributeError) as error:
        layout.find(str(error))
        return
    for name, record in known.items():
        images = sorted(layout.folder / file for file in record.files if file.startswith("images"))
        if not manifest.get("salted"):  # its keys are mixed with a secret
            layout.facts.update(zip(images, facts[name], strict=False))
        for file, sha in record.files.items():
            layout.digests[layout.folder / file] = sha
        if not all((layout.folder / file).is_file() for file in record.files):
            layout.find(f"{name}: its files were removed after the conversion")
    foreign = sorted({case.name for case in layout.cases} - set(known))
    if foreign:
        layout.find(f"{some(foreign)} were not written by the conversion that {MANIFEST} records")
