"""Folds that stay: a patient keeps the fold in which it is held out over all rounds.

Fine-tuned weights of a fold come from the same fold of the round before. If a patient changed its fold, that model
would have been trained on it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from nnunet_plugins.rounds.folder import Rounds

Fold = dict[str, list[str]]


def folds_of(rounds: Rounds, number: int) -> dict[str, int]:
    """Case with a reference at the start of a round -> the fold that holds it out."""
    held_out = held_out_in(rounds, number)
    return {case: held_out[case] for case in sorted(rounds.references(number))}


def held_out_in(rounds: Rounds, number: int) -> dict[str, int]:
    """Case of a patient with a reference at the start of a round -> the fold that holds the patient out."""
    patients = {case: one.patient for case, one in rounds.settings.cases.items()}
    assigned: dict[int, int] = {}
    for earlier in range(1, number + 1):
        labelled = {case: patients[case] for case in rounds.references(earlier)}
        assigned = extended(assigned, labelled, rounds.settings.folds, rounds.settings.seed)
    return {case: assigned[one] for case, one in patients.items() if one in assigned}


def extended(
    assigned: Mapping[int, int], patients: Mapping[str, int], folds: int, seed: int
) -> dict[int, int]:
    """Assign new patients to the folds with the fewest cases; the others keep theirs.

    Args:
        assigned: patient -> fold.
        patients: case -> patient, of all cases with a reference.
        folds: number of folds.
        seed: breaks ties.

    >>> first = extended({}, {"a": 1, "b": 2}, 2, 0)
    >>> sorted(first.values())
    [0, 1]
    >>> later = extended(first, {"a": 1, "b": 2, "c": 3, "d": 4}, 2, 0)
    >>> [later[1] == first[1], later[2] == first[2], sorted([later[3], later[4]])]
    [True, True, [0, 1]]
    """
    found = dict(assigned)
    cases: dict[int, list[str]] = {}
    for case, patient in sorted(patients.items()):
        cases.setdefault(patient, []).append(case)
    sizes = [0] * folds
    for patient, fold in assigned.items():
        sizes[fold] += len(cases.get(patient, ()))
    new = [patient for patient in cases if patient not in assigned]
    for patient in sorted(new, key=lambda one: (-len(cases[one]), mixed(seed, *cases[one]))):
        found[patient] = min(range(folds), key=sizes.__getitem__)
        sizes[found[patient]] += len(cases[patient])
    return found


def as_splits(held_out: Mapping[str, int], folds: int) -> list[Fold]:
    """Folds in the form of nnU-Net's splits_final.json.

    >>> as_splits({"a": 0, "b": 1}, 2)
    [{'train': ['b'], 'val': ['a']}, {'train': ['a'], 'val': ['b']}]
    """
    return [
        {
            "train": sorted(case for case, one in held_out.items() if one != fold),
            "val": sorted(case for case, one in held_out.items() if one == fold),
        }
        for fold in range(folds)
    ]


def mixed(*parts: object) -> str:
    """A digest that puts things in an order that depends on a seed and on nothing else."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()
