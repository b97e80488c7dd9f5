"""A scores file must agree with itself: overlaps follow from the voxel counts."""

from __future__ import annotations

import math
from pathlib import Path

from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.metrics import MaskScores
from nnunet_plugins.evaluation.overlap import overlap
from nnunet_plugins.evaluation.summary import Scores

_ROUNDING = 1e-6


def checked(scores: Scores, path: Path) -> Scores:
    """Return the scores of a file.

    Raises:
        UserError: a Dice or another overlap contradicts the voxel counts of its label, or counts are impossible.
    """
    for case in scores.cases:
        for label, found in case.labels.items():
            problem = _problem(found)
            if problem:
                raise UserError(
                    f"{path}: case {case.name}, {label}: {problem}; the file was changed after its evaluation: "
                    "evaluate again: nnunet-plugins evaluate PRED REF -o FILE.json"
                )
    return scores


def _problem(scores: MaskScores) -> str:
    counts = scores.counts
    if min(counts.tp, counts.fp, counts.fn, counts.tn) < 0:
        return (
            f"{counts.tp} common voxels of {counts.predicted} and {counts.true} in an image of {counts.all}, which "
            "is impossible"
        )
    for name, expected in overlap(counts).items():
        stated = getattr(scores, name)
        if not _equal(stated, expected):
            shown = "null" if expected is None else f"{expected:.6g}"
            return f"{name} is {'null' if stated is None else stated}, and its voxel counts give {shown}"
    return ""


def _equal(stated: float | None, expected: float | None) -> bool:
    if stated is None or expected is None:
        return stated is expected
    return math.isclose(stated, expected, rel_tol=_ROUNDING, abs_tol=_ROUNDING)
