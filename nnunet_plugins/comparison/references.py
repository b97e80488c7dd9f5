"""Runs are compared only if they were scored against the same references."""

from __future__ import annotations

from collections.abc import Sequence

from nnunet_plugins.comparison.runs import Run
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.reference_identity import Reference


def check_same_references(runs: Sequence[Run]) -> list[str]:
    """Check the voxels and positions of the references; return notes on runs that do not record them.

    Raises:
        UserError: the references of a case differ.
    """
    first: dict[str, tuple[Run, Reference | None]] = {}
    for run in runs:
        for case in run.scores.cases:
            earlier, ours = first.setdefault(case.name, (run, case.reference))
            theirs = case.reference
            difference = ours.difference(theirs) if ours and theirs else ""
            if difference:
                raise UserError(
                    f"compare: {run.name} and {earlier.name} were scored against different references: case "
                    f"{case.name}: {difference}, with equal volumes of the labels; score both against the same "
                    "reference (--reference REF)"
                )
    if len(runs) < 2:
        return []
    notes = [
        f"{run.name}: its scores do not record their references: only the volumes of the labels were compared; "
        "evaluate again to compare the voxels"
        for run in runs
        if any(case.reference is None for case in run.scores.cases)
    ]
    return list(dict.fromkeys(notes))
