"""Which cases are of one patient: from a table (--groups), or from the converter's conversion.json.

Patients are numbered. Their names in a table are used for grouping and are never written.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from dataset_conversion.errors import DatasetError
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.cases import listed, without_ending
from nnunet_plugins.evaluation.summary import Scores


def find_patients(
    cases: Sequence[str], reference: Path | None, groups: Path | None
) -> tuple[dict[str, int], list[str]]:
    """Number the patients of the cases.

    Args:
        cases: their names.
        reference: folder or file of the references: a converted dataset has a conversion.json next to or above it.
        groups: CSV file of cases and patients, see `dataset_conversion.datasets.groups.read_groups`; it has priority.

    Returns:
        Case -> number of its patient, empty if the patients are not known; and notes.

    Raises:
        UserError: the table cannot be read, or lacks a case.
    """
    if groups is not None:
        return numbered(_of_table(cases, groups)), []
    known = recorded(reference) if reference is not None else {}
    found = {case: known[case] for case in cases if case in known}
    if found and len(found) < len(cases):
        return {}, [
            f"the patients of {len(cases) - len(found)} of {len(cases)} cases are not in conversion.json: every case "
            "counts as another patient; pass --groups FILE.csv if that is not so"
        ]
    return numbered(found), []


def with_patients(scores: Scores, patients: Mapping[str, int]) -> Scores:
    """Scores whose cases have the number of their patient."""
    cases = tuple(replace(case, patient=patients.get(case.name)) for case in scores.cases)
    return replace(scores, cases=cases)


def patients_of(scores: Scores) -> dict[str, int]:
    """Case -> number of its patient; empty unless all are known."""
    found = {case.name: case.patient for case in scores.cases if case.patient is not None}
    return found if len(found) == len(scores.cases) else {}


def numbered(patients: Mapping[str, object]) -> dict[str, int]:
    """Number patients in the order of the cases' names.

    >>> numbered({"a": "Anna", "b": "Bert", "c": "Anna"})
    {'a': 1, 'b': 2, 'c': 1}
    """
    numbers: dict[object, int] = {}
    return {
        case: numbers.setdefault(patient, len(numbers) + 1)
        for case, patient in sorted(patients.items())
    }


def _of_table(cases: Sequence[str], groups: Path) -> dict[str, str]:
    from dataset_conversion.datasets.groups import Rows, read_groups
    from dataset_conversion.dicom.patients import spelling

    try:
        rows_read = read_groups(groups)
    except DatasetError as error:
        raise UserError(f"--groups {error}") from error
    table: dict[str, str] = {}
    for name, patient in rows_read.items():
        if spelling(table.setdefault(without_ending(name), patient)) != spelling(patient):
            raise UserError(f"--groups {groups}: {name} has a second patient; keep one of its rows")
    look = Rows.of(table)
    rows = {case: look.named([case]) for case in cases}
    missing = [case for case, found in rows.items() if not found]
    if missing:
        raise UserError(
            f"--groups {groups}: {len(missing)} of {len(cases)} cases are not in the table: {listed(missing)}; add a "
            "row for each, with the name of its label map and its patient"
        )
    patients = {case: table[found[0]] for case, found in rows.items()}
    return {case: spelling(patient) or patient for case, patient in patients.items()}


def recorded(reference: Path) -> dict[str, int]:
    """Case -> number of its patient, by the conversion.json next to or above the references; {} without one.

    Raises:
        UserError: the file cannot be read.
    """
    from dataset_conversion.raw_format.manifest import read_manifest

    for folder in _places(reference):
        try:
            found = read_manifest(folder).get("patients")
        except DatasetError as error:
            raise UserError(str(error)) from error
        if isinstance(found, dict):
            return {case: number for case, number in found.items() if isinstance(number, int)}
    return {}


def _places(reference: Path) -> Iterable[Path]:
    """Folders that may hold the references' conversion.json."""
    folder = reference.absolute() if reference.is_dir() else reference.absolute().parent
    yield from (folder, folder.parent)
    raw = os.environ.get("nnUNet_raw")
    if raw and folder.name == "gt_segmentations":  # nnU-Net's copy in nnUNet_preprocessed
        yield Path(raw) / folder.parent.name
