"""The folds of a cross-validation in one evaluation.

The test set of each fold is called with the threshold of its own classifier, which was fixed on the validation set of
that fold, so every patient is called once, by a network that did not see it. An external set has the mean
probabilities of all folds, and the mean of their thresholds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dataset_conversion.errors import some
from nnunet_plugins.classifier.predict import JSON, Predictions, Scored, read_predictions
from nnunet_plugins.errors import UserError

#: What every fold must have in common; a fold's own threshold and number of cases differ.
_SAME = ("classes", "network", "seeds", "segmenter")


def read_classified(path: Path) -> Predictions:
    """Read predictions.json, that of a folder, or those of a folder with one folder per fold.

    Raises:
        UserError: see `read_predictions` and `pooled`.
    """
    inside = sorted(path.glob(f"*/{JSON}")) if path.is_dir() and not (path / JSON).exists() else []
    if not inside:
        return read_predictions(path)
    try:
        return pooled([read_predictions(one) for one in inside])
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def pooled(parts: Sequence[Predictions]) -> Predictions:
    """Pool the folds of one cross-validation.

    Args:
        parts: predictions of the classifiers of all folds, in any order.

    Raises:
        UserError: a fold is missing or given twice, the folds are of different tables or settings, a patient is
            tested twice, or the folds scored different external cases.
    """
    records = [_fold_of(one) for one in parts]
    order = sorted(range(len(parts)), key=lambda place: records[place]["fold"])
    parts, records = [parts[place] for place in order], [records[place] for place in order]
    given, folds = [one["fold"] for one in records], records[0]["folds"]
    if given != folds:
        raise UserError(
            f"the folds are {', '.join(map(str, folds))}, the predictions are of {', '.join(map(str, given))}; pass "
            "one folder of classify predict for each fold, without others"
        )
    _check_same(parts, records)
    cases = [*_out_of_fold(parts), *_mean_of_folds(parts)]
    notes = tuple(dict.fromkeys(note for one in parts for note in one.notes))
    counts = {
        side: sorted({one.training["cases"][side] for one in parts})
        for side in ("train", "validation")
    }
    return replace(
        parts[0],
        cases=tuple(cases),
        notes=notes,
        training={**parts[0].training, "cases": {side: _range(n) for side, n in counts.items()}},
        folds=tuple(parts),
    )


def _fold_of(part: Predictions) -> Mapping[str, Any]:
    found: Mapping[str, Any] | None = part.training.get("cross_validation")
    if not found:
        raise UserError(
            "a folder of several predictions holds the folds of one cross-validation, but a classifier in it was "
            "trained without --fold; pass single predictions"
        )
    return found


def _check_same(parts: Sequence[Predictions], records: Sequence[Mapping[str, Any]]) -> None:
    first = parts[0]
    unlike = [
        name for name in _SAME if any(getattr(one, name) != getattr(first, name) for one in parts)
    ]
    if any(one.training["settings"] != first.training["settings"] for one in parts):
        unlike.append("settings")
    if any(one["table"] != records[0]["table"] for one in records):
        unlike.append("table of cases")
    if len({files for one in records if (files := one.get("files"))}) > 1:
        unlike.append("images or masks")
    if unlike:
        raise UserError(
            f"the folds differ in {', '.join(unlike)}; train all folds with the same table, files and options"
        )


def _out_of_fold(parts: Sequence[Predictions]) -> list[Scored]:
    """The test cases of all folds."""
    found = [case for part in parts for case in part.of("test")]
    first: dict[int | None, int] = {}
    twice = []
    for number, part in enumerate(parts):
        twice += [
            one.case for one in part.of("test") if first.setdefault(one.patient, number) != number
        ]
    if twice:
        raise UserError(f"{some(twice)}: tested in two folds; predict again with classify predict")
    lacking = [n for n, part in enumerate(parts) if not part.of("test")] if found else []
    if lacking:
        raise UserError(
            f"{len(lacking)} of {len(parts)} folds have no test cases; predict each fold in the same way"
        )
    return found


def _mean_of_folds(parts: Sequence[Predictions]) -> list[Scored]:
    """The external cases, with the mean of the folds' probabilities and thresholds."""
    each = [part.of("external") for part in parts]
    known = [[(one.case, one.patient, one.label) for one in cases] for cases in each]
    if any(one != known[0] for one in known):
        raise UserError(
            "the folds scored different external cases, or with different diagnoses; predict each fold with the same "
            "--external and --diagnoses"
        )
    threshold = float(np.mean([part.threshold for part in parts]))
    found = []
    for same in zip(*each, strict=True):
        mean = float(np.mean([one.probability for one in same]))
        seeds = np.mean([one.seeds for one in same], axis=0)
        found.append(
            replace(
                same[0], probability=mean, call=int(mean >= threshold), threshold=threshold,
                seeds=tuple(map(float, seeds)),
            )
        )  # fmt: skip
    return found


def _range(numbers: Sequence[int]) -> str:
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
