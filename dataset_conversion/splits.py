"""Folds for cross-validation that keep a group (a patient) together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

FOLDS = 5


def grouped_folds(groups: Mapping[str, str], folds: int = FOLDS) -> list[dict[str, list[str]]]:
    """Share out cases to folds, whole groups at a time, as nnU-Net's splits_final.json.

    The result depends on the cases and on which of them belong together, not on their order or
    on the groups' names. Below `folds` groups one group is left out at a time; a single group
    gives no fold at all.

    Args:
        groups: case id -> group.
        folds: number of folds at most.
    """
    members: dict[str, list[str]] = {}
    for case in sorted(groups):
        members.setdefault(groups[case], []).append(case)
    if len(members) < 2:
        return []
    # Largest first keeps the folds even; the digest mixes the rest without a random state.
    order = sorted(members.values(), key=lambda cases: (-len(cases), _mix(cases)))
    held_out: list[list[str]] = [[] for _ in range(min(folds, len(members)))]
    for cases in order:
        min(held_out, key=len).extend(cases)
    return [{"train": sorted(set(groups) - set(cases)), "val": sorted(cases)} for cases in held_out]


def _mix(cases: list[str]) -> str:
    return hashlib.sha256("\n".join(cases).encode()).hexdigest()
