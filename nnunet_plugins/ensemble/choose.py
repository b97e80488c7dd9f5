"""Choose among models and their averages by the Dice of the cross-validation."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnunet_plugins import __version__
from nnunet_plugins.ensemble.averaging import averaged_labels
from nnunet_plugins.ensemble.members import Member
from nnunet_plugins.ensemble.postprocessing import Dice, Step, determine, keep_largest, mean
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.cases import (
    LabelMap,
    check_geometry,
    listed,
    read,
    values_in,
    with_axes_of,
)
from nnunet_plugins.evaluation.labels import Labels
from nnunet_plugins.evaluation.overlap import counts_of, encode, joint_counts, overlap
from nnunet_plugins.evaluation.pairs import label_maps
from nnunet_plugins.scratch import scratch_in

FORMAT, FORMAT_VERSION = "nnunet-plugins ensemble", 1
CRITERION = (
    "mean over labels of the mean Dice over the cross-validation cases; a label that is in neither mask of a case "
    "has no value there. The first of equal candidates is chosen, single models before averages"
)
#: Share of voxels in which saved probabilities may differ from the label map of their model.
ALLOWED = 1e-3
Progress = Callable[[list[Any]], Iterable[Any]]


@dataclass(frozen=True)
class Candidate:
    """One or more models, with the mean Dice over labels and of each label."""

    members: tuple[Member, ...]
    dice: float | None
    labels: dict[str, float | None]


@dataclass(frozen=True)
class Choice:
    """The chosen models.

    Attributes:
        best: of the candidates.
        candidates: all of them, as they were scored.
        cases: number of validation cases.
        steps: of the postprocessing, also those that are not kept.
        after: Dice of each label with the steps that are kept.
    """

    best: Candidate
    candidates: tuple[Candidate, ...]
    cases: int
    steps: tuple[Step, ...]
    after: dict[str, float | None]

    def to_dict(self, folder: Path) -> dict[str, Any]:
        """The content of ensemble.json; paths of models are relative to its folder."""

        def name(member: Member) -> str:
            return Path(os.path.relpath(member.path.resolve(), folder.resolve())).as_posix()

        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "computed_with": {"nnunet-plugins": __version__},
            "members": [
                {"model": name(m), "folds": list(m.folds), "weights": m.weights}
                for m in self.best.members
            ],
            "regions_class_order": self.best.members[0].order,
            "keep_largest_component_of": [list(step.values) for step in self.steps if step.kept],
            "criterion": CRITERION,
            "cases": self.cases,
            "dice": self.best.dice,
            "dice_postprocessed": mean(self.after),
            "dice_postprocessed_by_label": self.after,
            "candidates": [
                {
                    "models": [m.path.name for m in one.members],
                    "dice": one.dice,
                    "dice_by_label": one.labels,
                }
                for one in self.candidates
            ],
            "postprocessing": [asdict(step) for step in self.steps],
        }

    def to_json(self, folder: Path) -> str:
        """The text of ensemble.json."""
        return json.dumps(self.to_dict(folder), indent=1, ensure_ascii=False) + "\n"


def choose(
    members: Sequence[Member],
    references: Path,
    *,
    most: int = 2,
    progress: Progress | None = None,
) -> Choice:
    """Score every model and every average of up to ``most`` models, and determine the postprocessing of the best.

    Args:
        members: from `read_members`.
        references: folder of the true label maps.
        most: models in an average.
        progress: wraps the lists of cases.

    Raises:
        UserError: a reference or probabilities are missing, a reference holds values that are not declared, or
            probabilities do not fit their model's label map.
    """
    cases, labels = sorted(members[0].maps), members[0].labels
    true = label_maps(references)
    if missing := [case for case in cases if case not in true]:
        raise UserError(
            f"{references}: {len(missing)} of {len(cases)} validation cases have no reference; pass --reference DIR"
        )
    groups = [
        group
        for count in range(1, min(most, len(members)) + 1)
        for group in itertools.combinations(members, count)
    ]
    averaged = members if len(groups) > len(members) else ()
    for member, case in itertools.product(averaged, cases):
        member.probabilities(case)  # fail before the work
    scored: list[list[Dice]] = [[] for _ in groups]
    for case in progress(cases) if progress else cases:
        reference = read(true[case])
        _check_reference(reference, labels)
        for member in averaged:
            _check_probabilities(member, case)
        for group, found in zip(groups, scored, strict=True):
            found.append(dice(_labels(group, case, reference), reference.voxels, labels))
    candidates = [
        Candidate(group, mean(averages), averages)
        for group, averages in zip(groups, map(_over_cases, scored), strict=True)
    ]
    best = max(candidates, key=lambda one: -1.0 if one.dice is None else one.dice)

    with scratch_in() as scratch:
        for number, case in enumerate(cases):
            np.save(scratch / f"{number}.npy", _labels(best.members, case, read(true[case])))

        def score(steps: Sequence[tuple[int, ...]]) -> Dice:
            found = []
            for number, case in enumerate(cases):
                kept = keep_largest(np.load(scratch / f"{number}.npy"), steps)
                found.append(dice(kept, read(true[case]).voxels, labels))
            return _over_cases(found)

        steps = determine(labels.values, score)
        after = score([step.values for step in steps if step.kept])
    return Choice(best, tuple(candidates), len(cases), tuple(steps), dict(after))


def dice(predicted: NDArray[Any], true: NDArray[Any], labels: Labels) -> Dice:
    """Dice of each label of one case; None for a label in neither label map. Ignored voxels are left out.

    Args:
        predicted: (z, y, x).
        true: likewise.
        labels: declared.
    """
    values = sorted(labels.known)
    if labels.ignore is not None and labels.ignore not in values:
        values.append(labels.ignore)
    joint = joint_counts(encode(predicted, values), encode(true, values), len(values) + 1)
    if labels.ignore is not None:
        joint[:, values.index(labels.ignore)] = 0
    return {
        name: overlap(counts_of(joint, [values.index(one) for one in of]))["dice"]
        for name, of in labels.values.items()
    }


def _over_cases(scores: Sequence[Dice]) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for name in scores[0]:
        known = [value for one in scores if (value := one[name]) is not None]
        found[name] = sum(known) / len(known) if known else None
    return found


def _labels(group: Sequence[Member], case: str, reference: LabelMap) -> NDArray[Any]:
    """Labels of a case in the axes of its reference."""
    found = read(group[0].maps[case])
    if len(group) > 1:
        files = [member.probabilities(case) for member in group]
        labels = averaged_labels(files, group[0].order)
        found = replace(found, voxels=_shaped(labels, found, files[0]))
    found, _ = with_axes_of(found, reference)
    check_geometry(found, reference)
    return found.voxels


def _shaped(labels: NDArray[Any], stored: LabelMap, path: Path) -> NDArray[Any]:
    """Labels (z, y, x) in the shape of a stored label map, which in 2D has no z."""
    if tuple(n for n in labels.shape if n > 1) != tuple(n for n in stored.voxels.shape if n > 1):
        raise UserError(
            f"{path}: probabilities of {labels.shape} voxels, the label map of the case has {stored.voxels.shape}; "
            "validate again (nnUNetv2_train ... --val --npz)"
        )
    return labels.reshape(stored.voxels.shape)


def _check_reference(reference: LabelMap, labels: Labels) -> None:
    known = labels.known.union([] if labels.ignore is None else [labels.ignore])
    if unknown := sorted(values_in(reference.voxels) - known):
        raise UserError(
            f"{reference.path}: holds values {listed(unknown)}, which dataset.json of the models does not declare; "
            f"known are {listed(sorted(known))}: correct the file, or pass --reference DIR"
        )


def _check_probabilities(member: Member, case: str) -> None:
    path, stored = member.probabilities(case), read(member.maps[case])
    labels = _shaped(averaged_labels([path], member.order), stored, path)
    different = float((labels != stored.voxels).mean())
    if different > ALLOWED:
        raise UserError(
            f"{path}: the probabilities give other labels than the label map of the case in {100 * different:.2g} % "
            "of the voxels; one of them is of an earlier training, or the images have another orientation in the "
            "files: validate again (nnUNetv2_train ... --val --npz)"
        )
