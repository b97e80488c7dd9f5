"""Scores as a table for spreadsheets and statistics programs: one row per case and label."""

from __future__ import annotations

from nnunet_plugins.csv_table import csv_text
from nnunet_plugins.evaluation.cases import MM
from nnunet_plugins.evaluation.summary import Scores


def scores_csv(scores: Scores) -> str:
    """Return the text of a CSV file with one row per case and label.

    Columns are case, label, state (which masks are empty), the measured metrics under the names of the JSON file, and
    the counts of voxels; then the number of the patient if it is known. A score without a value is an empty cell.
    Distances of files without a voxel size are in columns of pixels, not mm.

    >>> from nnunet_plugins.evaluation import evaluate
    >>> print(scores_csv(evaluate("predictions", "labelsTs")))  # doctest: +SKIP
    case,label,state,dice,iou,...
    """
    with_patients = any(case.patient is not None for case in scores.cases)
    rows: list[list[object]] = []
    head: list[str] = []
    for case in scores.cases:
        for label, mask in case.labels.items():
            found = _named(mask.to_dict(scores.metrics), scores.unit)
            head = ["case", "label", *found, *(["patient"] if with_patients else [])]
            rows.append(
                [case.name, label, *found.values(), *([case.patient] if with_patients else [])]
            )
    return csv_text([head, *rows])


def _named(found: dict[str, object], unit: str) -> dict[str, object]:
    """Columns of a mask; without a voxel size, distances are in pixels, and there are no volumes in mm3 or ml."""
    if unit == MM:
        return found
    return {
        key.replace("_mm", f"_{unit}"): value
        for key, value in found.items()
        if not key.endswith(("_mm3", "_ml"))
    }
