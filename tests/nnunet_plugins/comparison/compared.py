"""Runs to compare, made from voxel counts."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnunet_plugins.comparison.runs import Run
from nnunet_plugins.evaluation.labels import Labels
from nnunet_plugins.evaluation.metrics import compare as score
from nnunet_plugins.evaluation.overlap import Counts
from nnunet_plugins.evaluation.summary import CaseScores, Scores

LABELS = Labels({"sacrum": (1,), "hip": (2,)}, None, "test")
SPACING = (3.0, 0.5, 0.8)


def row_of(voxels: int, start: int = 0) -> np.ndarray:
    mask = np.zeros((3, 4, 24), dtype=bool)
    mask[1, 1, start : start + voxels] = True
    return mask


def run(name: str, sacrum: list[int], hip: list[int | None], **facts: Any) -> Run:
    """Cases with 10 voxels of each label, of which the given numbers were found; hip None: not in the case."""
    cases = []
    for number, found in enumerate(zip(sacrum, hip, strict=True)):
        labels = {}
        for label, hits in zip(LABELS.values, found, strict=True):
            true = row_of(0 if hits is None else 10)
            labels[label] = score(row_of(hits or 0), true, SPACING)
        cases.append(CaseScores(f"case{number}", SPACING, labels, Counts(200, 8, 0, 80), 280))
    return Run(name, Scores(LABELS, tuple(cases)), facts)


FIRST = [6, 7, 8, 5, 6, 7, 8]
BETTER = [8, 9, 9, 7, 9, 9, 10]


def lines(found: Any, label: str, metric: int = 0) -> dict[str, Any]:
    return {one.run: one for one in found.tables[metric].lines if one.label == label}
