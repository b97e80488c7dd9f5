"""Scores as a table for spreadsheets and statistics programs: one row per case and label."""

from __future__ import annotations

from typing import Any

from nnunet_plugins.csv_table import csv_text
from nnunet_plugins.evaluation.cases import MM
from nnunet_plugins.evaluation.instance_scores import case_dict
from nnunet_plugins.evaluation.summary import CaseScores, Scores


def scores_csv(scores: Scores) -> str:
    """Return the text of a CSV file with one row per case and label.

    Columns are case, label, state (which masks are empty), the measured metrics under the names of the JSON file, and
    the counts of voxels; then those of instances, and the number of the patient, if they are known. A group of
    instances that is not a label has a row of its own. A score without a value is an empty cell. Distances of files
    without a voxel size are in columns of pixels, not mm.

    >>> from nnunet_plugins.evaluation import evaluate
    >>> print(scores_csv(evaluate("predictions", "labelsTs")))  # doctest: +SKIP
    case,label,state,dice,iou,...
    """
    rows = [row for case in scores.cases for row in _rows(case, scores)]
    head = list(dict.fromkeys(key for row in rows for key in row))
    if "patient" in head:  # last
        head.append(head.pop(head.index("patient")))
    return csv_text([head, *([row.get(key) for key in head] for row in rows)])


def _rows(case: CaseScores, scores: Scores) -> list[dict[str, Any]]:
    """One row per label and group of instances."""
    found = {name: mask.to_dict(scores.metrics) for name, mask in case.labels.items()}
    for group in scores.instances.groups if scores.instances else ():
        measured = case_dict(case.instances[group.name], group)
        numbers = measured.pop("numbering", {})
        more = {f"instances_{k}": v for k, v in measured.items() if not isinstance(v, list)}
        more |= {f"numbering_{k}": v for k, v in numbers.items()}
        found[group.name] = found.get(group.name, {}) | more
    patient = {} if case.patient is None else {"patient": case.patient}
    return [
        {"case": case.name, "label": name, **_named(values, scores.unit), **patient}
        for name, values in found.items()
    ]


def _named(found: dict[str, object], unit: str) -> dict[str, object]:
    """Columns of a mask; without a voxel size, distances are in pixels, and there are no volumes in mm3 or ml."""
    if unit == MM:
        return found
    return {
        key.replace("_mm", f"_{unit}"): value
        for key, value in found.items()
        if not key.endswith(("_mm3", "_ml"))
    }
