"""Scores from nnU-Net's own summary.json: overlaps from its voxel counts, no distances."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.definitions import METRICS, TOLERANCE
from nnunet_plugins.evaluation.labels import Labels
from nnunet_plugins.evaluation.metrics import MaskScores
from nnunet_plugins.evaluation.overlap import OVERLAP, Counts, overlap
from nnunet_plugins.evaluation.summary import CaseScores, Scores
from nnunet_plugins.evaluation.validation import FOLDER, SUMMARY, summary_of


def read_summaries(folds: Sequence[Path], labels: Labels) -> Scores:
    """Scores from the counts in the folds' summary.json.

    Raises:
        UserError: a fold has no summary.json, a case is in two folds, or a label is missing.
    """
    cases: dict[str, CaseScores] = {}
    for fold in folds:
        file = fold / FOLDER / SUMMARY
        if not file.is_file():
            raise UserError(
                f"{fold.name} has no validation/summary.json; finish the training, or pass --reference REF"
            )
        for name, of_labels in summary_of(fold):
            if name in cases:
                raise UserError(f"case {name} is in two folds; select one of them with --fold")
            metrics = {_values(key): found for key, found in of_labels.items()}
            scored = {}
            for label, values in labels.values.items():
                if frozenset(values) not in metrics:
                    raise UserError(
                        f"{file}: {name} has no scores of {label} = {list(values)}; pass --reference REF"
                    )
                scored[label] = _counted(metrics[frozenset(values)])
            cases[name] = CaseScores(name, (), scored, Counts(0, 0, 0, 0), 0)
    ordered = tuple(cases[name] for name in sorted(cases))
    return Scores(labels, ordered, (), TOLERANCE, OVERLAP)


def _values(key: str) -> frozenset[int]:
    """The values of a label in nnU-Net's key: '3' is a label, '(3,)' and '(1, 2)' are regions.

    >>> _values("(3,)") == _values("3")
    True
    """
    return frozenset(int(value) for value in re.findall(r"\d+", key))


def _counted(found: dict[str, Any]) -> MaskScores:
    counts = Counts(*(int(found[key]) for key in ("TP", "FP", "FN", "TN")))
    values: dict[str, Any] = dict.fromkeys(METRICS) | overlap(counts)
    return MaskScores(
        **values,
        prediction_voxels=counts.predicted,
        reference_voxels=counts.true,
        common_voxels=counts.tp,
        voxels=counts.all,
        prediction_mm3=0.0,
        reference_mm3=0.0,
    )
