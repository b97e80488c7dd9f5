"""Training, validation and test cases, drawn by patient with a seed.

The result depends on the seed, the case ids and their grouping, but not on the order of the cases
or the names of the groups.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from dataset_conversion.cases.case import SUBSETS, Case
from dataset_conversion.errors import DatasetError

FOLDS = 5
OWN = "own"
Fold = dict[str, list[str]]


@dataclass(frozen=True)
class Splits:
    """How cases are split.

    Attributes:
        split: "5-fold" (any number from 2), "7:3" or "80/20" (training to validation, one fold),
            or "own": the dataset's own subsets.
        test: "" for none, "80/20" (the second part is the test set), or a subset's name. Cases of
            the subset "test" are always in the test set.
        seed: decides how patients are shuffled.

    >>> from dataset_conversion.cases.case import Sample
    >>> cases = [Case(f"c{n}", f"patient{n // 2}", "", {}, True, 1, Sample) for n in range(6)]
    >>> for fold in Splits("3-fold").folds(cases):  # no patient on both sides
    ...     print(fold["val"])
    ['c2', 'c3']
    ['c0', 'c1']
    ['c4', 'c5']
    """

    split: str = f"{FOLDS}-fold"
    test: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the values of --split and --test."""
        if self.split != OWN and _folds(self.split) is None and _share(self.split) is None:
            raise DatasetError(
                f"--split {self.split!r}: allowed are K-fold with K from 2 (5-fold), "
                "training:validation (7:3 or 80/20), and own (the dataset's own subsets)"
            )
        if self.test and self.test not in SUBSETS and _share(self.test) is None:
            raise DatasetError(
                f"--test {self.test!r}: allowed are rest:test (7:3 or 80/20) and the name of a "
                f"subset that the dataset defines ({', '.join(SUBSETS)})"
            )

    def test_set(self, cases: Sequence[Case]) -> frozenset[str]:
        """Return the ids of the labelled cases in the test set.

        Raises:
            DatasetError: a subset that does not occur, separates cases of a patient, or holds every case.
        """
        labelled = [case for case in cases if case.labelled]
        subsets = {"test", self.test} & set(SUBSETS)
        chosen = {case.name for case in labelled if case.subset in subsets}
        if self.test in SUBSETS and not any(c.subset == self.test for c in labelled):
            raise DatasetError(f"--test {self.test}: no case is in this subset")
        groups = {case.name: case.group for case in labelled}
        _check_whole(chosen, groups, "test set")
        rest = {name: group for name, group in groups.items() if name not in chosen}
        share = _share(self.test)
        if share is not None:
            chosen |= set(_drawn(rest, share, f"{self.seed}/test", "--test"))
        if labelled and len(chosen) == len(labelled):
            raise DatasetError(
                "every labelled case is in the test set; nothing is left to train on"
            )
        return frozenset(chosen)

    def folds(self, cases: Sequence[Case]) -> list[Fold]:
        """Return the folds of training cases in the form of nnU-Net's splits_final.json.

        A single group gives no folds; fewer than K groups are left out one at a time.

        Raises:
            DatasetError: `own` was chosen and a case has no subset, or a patient is in two.
        """
        groups = {case.name: case.group for case in cases}
        count, share = _folds(self.split), _share(self.split)
        if self.split == OWN:
            folds = _own(cases)
        elif share is not None:
            held = _drawn(groups, share, str(self.seed), "--split") if _several(groups) else []
            folds = [_fold(groups, held)] if held else []
        else:
            folds = grouped_folds(groups, count or FOLDS, self.seed)
        confirm_apart(folds, groups)
        return folds


def grouped_folds(groups: Mapping[str, str], folds: int = FOLDS, seed: int = 0) -> list[Fold]:
    """Split cases into at most `folds` even parts, each held out once.

    Args:
        groups: case id -> group.
        folds: largest number of folds.
        seed: breaks ties.

    >>> grouped_folds({"a": "p", "b": "p", "c": "q"})
    [{'train': ['c'], 'val': ['a', 'b']}, {'train': ['a', 'b'], 'val': ['c']}]
    """
    members = _members(groups)
    if len(members) < 2:
        return []
    # Largest first keeps the folds even; the digest mixes the rest without a random state.
    order = sorted(members, key=lambda cases: (-len(cases), _mix(cases, str(seed))))
    held_out: list[list[str]] = [[] for _ in range(min(folds, len(members)))]
    for cases in order:
        min(held_out, key=len).extend(cases)
    return [_fold(groups, cases) for cases in held_out]


def confirm_apart(folds: Iterable[Fold], groups: Mapping[str, str]) -> None:
    """Check that no group is on both sides of a fold, as a safeguard.

    Raises:
        RuntimeError: a group is on both sides, or a side is empty.
    """
    for number, fold in enumerate(folds):
        both = {groups[c] for c in fold["train"]} & {groups[c] for c in fold["val"]}
        if both or not fold["train"] or not fold["val"]:
            raise RuntimeError(f"fold {number} has {len(both)} patients on both sides, or is empty")


def _own(cases: Sequence[Case]) -> list[Fold]:
    without = [case.name for case in cases if case.subset not in ("train", "val")]
    if without:
        raise DatasetError(
            f"--split own: {len(without)} cases have no subset in the dataset "
            f"({', '.join(without[:5])}{', ...' if len(without) > 5 else ''}); choose another "
            "--split, or complete the dataset's table"
        )
    groups = {case.name: case.group for case in cases}
    held = {case.name for case in cases if case.subset == "val"}
    _check_whole(held, groups, "validation set")
    if not held or len(held) == len(cases):
        raise DatasetError(
            f"--split own: {len(held)} of {len(cases)} training cases are in the subset val; both "
            "training and validation need some"
        )
    return [_fold(groups, held)]


def _check_whole(chosen: Collection[str], groups: Mapping[str, str], what: str) -> None:
    """Raise if a subset of the dataset contains only some cases of a patient."""
    inside = {groups[name] for name in chosen}
    torn = sorted(n for n, group in groups.items() if group in inside and n not in chosen)
    if torn:
        raise DatasetError(
            f"the {what} separates cases of the same patient: {', '.join(torn[:5])}"
            f"{', ...' if len(torn) > 5 else ''} belong to patients who are in it too; correct the "
            "dataset's table, or draw the set with a ratio such as 80/20"
        )


def _drawn(groups: Mapping[str, str], share: Fraction, seed: str, option: str) -> list[str]:
    """Draw a share of the patients, at least one and never all; return their cases."""
    members = sorted(_members(groups), key=lambda cases: _mix(cases, seed))
    if len(members) < 2:
        raise DatasetError(
            f"{option}: {len(members)} patients with a mask; at least 2 are required to split them"
        )
    count = min(max(round(share * len(members)), 1), len(members) - 1)
    return sorted(name for cases in members[:count] for name in cases)


def _fold(groups: Mapping[str, str], held: Collection[str]) -> Fold:
    return {"train": sorted(set(groups) - set(held)), "val": sorted(held)}


def _members(groups: Mapping[str, str]) -> list[list[str]]:
    members: dict[str, list[str]] = {}
    for case in sorted(groups):
        members.setdefault(groups[case], []).append(case)
    return list(members.values())


def _several(groups: Mapping[str, str]) -> bool:
    return len(set(groups.values())) > 1


def _mix(cases: Sequence[str], seed: str) -> str:
    return hashlib.sha256("\n".join((seed, *cases)).encode()).hexdigest()


def _folds(text: str) -> int | None:
    found = re.fullmatch(r"(\d{1,3})-?folds?", text.strip())
    return int(found[1]) if found and int(found[1]) >= 2 else None


def _share(text: str) -> Fraction | None:
    """Return the share of the second part of a ratio such as 7:3."""
    found = re.fullmatch(r"(\d{1,4})\s*[:/]\s*(\d{1,4})", text.strip())
    if not found or not int(found[1]) or not int(found[2]):
        return None
    return Fraction(int(found[2]), int(found[1]) + int(found[2]))
