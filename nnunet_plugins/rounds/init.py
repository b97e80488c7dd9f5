"""Begins rounds on a raw dataset: its cases, their patients, the references so far, the anchoring subset."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dataset_conversion.errors import some
from dataset_conversion.io.atomic_files import digest
from nnunet_plugins.atomic_files import write_json
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.patients import find_patients
from nnunet_plugins.networks import find
from nnunet_plugins.nnunet_folders import find_dataset, folder_of
from nnunet_plugins.optional_imports import need
from nnunet_plugins.plans_file import read_object
from nnunet_plugins.rounds.folder import ENDING, Rounds
from nnunet_plugins.rounds.folds import mixed
from nnunet_plugins.rounds.settings import FILE, Case, Settings

CHANNEL = "_0000"


@dataclass(frozen=True)
class Choices:
    """What `rounds init` is asked for.

    Attributes:
        dataset: id or name of a dataset in nnUNet_raw.
        labels: ``all`` or ``none`` of the masks in labelsTr, or a text file of cases, one in each line.
        blind: patients in the anchoring subset.
        groups: CSV file of cases and patients, for a dataset that `convert` did not write.
        settings: the other values, by their names in `Settings`.
    """

    dataset: str
    labels: str = "all"
    blind: int = 0
    groups: Path | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


def begin(folder: Path, chosen: Choices) -> tuple[Rounds, list[str]]:
    """Write DIR/rounds.json and copies of the references so far; return the rounds, and notes.

    Raises:
        UserError: DIR has rounds, the dataset is unknown or not of volumes, patients are not known, or a value is
            not allowed.
    """
    if (folder / FILE).exists():
        raise UserError(f"{folder / FILE}: exists; choose another folder, or remove this one")
    root = folder_of("nnUNet_raw")
    name = find_dataset(root, chosen.dataset)
    source = (root / name).absolute()
    find(str(chosen.settings["network"]))
    channels = _channels(source)
    images, notes = _pool(source, channels)
    patients, _ = find_patients(sorted(images), source / "imagesTr", chosen.groups)
    if not patients:
        raise UserError(
            f"{source}: has no conversion.json with every case, so the patients are not known and could be on both "
            "sides of a fold; pass --groups FILE.csv with a column case and a column patient"
        )
    images, more = _without_test_patients(source, images, chosen.groups)
    known = _references(source, images, chosen.labels)
    blind = _blind({case: patients[case] for case in images}, chosen)
    cases = {
        case: Case(
            patients[case],
            {file: digest(source / file) for file in files},
            digest(source / known[case]) if case in known else "",
            case in blind,
        )
        for case, files in sorted(images.items())
    }
    settings = Settings(dataset=name, source=str(source), cases=cases, **chosen.settings)
    rounds = Rounds(folder.resolve(), settings)
    _check_format(rounds)
    _copy_references(rounds, {case: source / file for case, file in known.items()})
    write_json(folder / FILE, settings.to_dict())
    return rounds, [*notes, *more]


def _channels(source: Path) -> int:
    """Number of channels.

    Raises:
        UserError: the dataset is in a form that is not supported.
    """
    content = read_object(source / "dataset.json")
    if content.get("file_ending") != ENDING or "dataset" in content:
        raise UserError(
            f"{source}: rounds need cases in imagesTr and imagesTs as {ENDING}; bring the dataset in with "
            "nnunet-plugins convert nnunet"
        )
    return len(content.get("channel_names", {}))


def _pool(source: Path, channels: int) -> tuple[dict[str, list[str]], list[str]]:
    """Case -> files of its channels: imagesTr, and imagesTs without the test set; and notes.

    Raises:
        UserError: there are no cases, or files are missing.
    """
    found: dict[str, list[str]] = {}
    tested = {path.name.removesuffix(ENDING) for path in (source / "labelsTs").glob(f"*{ENDING}")}
    for folder in ("imagesTr", "imagesTs"):
        for first in sorted((source / folder).glob(f"*{CHANNEL}{ENDING}")):
            case = first.name.removesuffix(f"{CHANNEL}{ENDING}")
            if folder == "imagesTs" and case in tested:
                continue
            if case in found:
                raise UserError(
                    f"{source}: case {case} is in imagesTr and in imagesTs; keep one of them"
                )
            found[case] = [f"{folder}/{case}_{number:04d}{ENDING}" for number in range(channels)]
    lacking = [file for files in found.values() for file in files if not (source / file).is_file()]
    if lacking or not found:
        raise UserError(
            f"{source}: {f'files are missing: {some(lacking)}' if lacking else 'has no cases'}; see: nnunet-plugins "
            "check"
        )
    return found, [
        f"the test set stays out of the rounds: {some(sorted(tested))}"
    ] if tested else []


def _without_test_patients(
    source: Path, images: Mapping[str, list[str]], groups: Path | None
) -> tuple[dict[str, list[str]], list[str]]:
    """The cases without those of patients in the test set, and a note on them."""
    tested = [path.name.removesuffix(ENDING) for path in (source / "labelsTs").glob(f"*{ENDING}")]
    if not tested:
        return dict(images), []
    together, _ = find_patients(sorted({*images, *tested}), source / "imagesTr", groups)
    held = {together.get(case) for case in tested} - {None}
    out = sorted(case for case in images if together.get(case) in held)
    kept = {case: files for case, files in images.items() if case not in out}
    return kept, [f"left out, as their patients are in the test set: {some(out)}"] if out else []


def _references(source: Path, images: Collection[str], labels: str) -> dict[str, str]:
    """Case -> file of its reference, for the cases that are taken over.

    Raises:
        UserError: the list of cases cannot be read, or names cases without a reference.
    """
    there = {
        case: f"labelsTr/{case}{ENDING}"
        for case in images
        if (source / f"labelsTr/{case}{ENDING}").is_file()
    }
    if labels in ("all", "none"):
        return there if labels == "all" else {}
    try:
        lines = Path(labels).read_text(encoding="utf-8-sig").split("\n")
    except (OSError, ValueError) as error:
        raise UserError(
            f"rounds: --labels {labels}: allowed: all, none, or a text file of cases ({error})"
        ) from error
    asked = [line.strip() for line in lines if line.strip()]
    unknown = [case for case in asked if case not in there]
    if unknown:
        raise UserError(
            f"rounds: --labels {labels}: no mask in {source / 'labelsTr'} for {some(unknown)}"
        )
    return {case: there[case] for case in asked}


def _blind(patients: Mapping[str, int], chosen: Choices) -> set[str]:
    """The cases of the anchoring subset, drawn by patient.

    Raises:
        UserError: more patients than there are, or none would be left.
    """
    order = sorted(
        set(patients.values()), key=lambda one: mixed("blind", chosen.settings["seed"], one)
    )
    if not 0 <= chosen.blind < len(order):
        raise UserError(
            f"rounds: --anchoring-subset {chosen.blind}: allowed are 0 to {len(order) - 1}, as "
            f"there are {len(order)} patients"
        )
    drawn = set(order[: chosen.blind])
    return {case for case, patient in patients.items() if patient in drawn}


def _check_format(rounds: Rounds) -> None:
    """Check that masks can be exported.

    Raises:
        UserError: overlapping regions in .seg.nrrd, or a package is missing.
    """
    if rounds.settings.format != "seg.nrrd":
        return
    if any(len(values) > 1 for values in rounds.labels.values.values()):
        raise UserError(
            "rounds: --to seg.nrrd: the dataset has regions, whose segments would overlap; pass --to nii.gz"
        )
    need("slicerio", "export", ".seg.nrrd")


def _copy_references(rounds: Rounds, files: Mapping[str, Path]) -> None:
    """Copy the references so far, so that a later change of the dataset does not change them."""
    target = rounds.round(0) / "references"
    shutil.rmtree(target, ignore_errors=True)  # of a run that was killed
    target.mkdir(parents=True)
    for case, file in files.items():
        shutil.copyfile(file, target / f"{case}{ENDING}")
