"""Two classifiers, or a classifier and readers, on the same patients."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dataset_conversion.errors import some
from nnunet_plugins.classifier.measures import Result
from nnunet_plugins.diagnosis import mcnemar
from nnunet_plugins.diagnosis.calls import Counts, count
from nnunet_plugins.diagnosis.delong import Difference, difference
from nnunet_plugins.errors import UserError


@dataclass(frozen=True)
class Discordant:
    """Patients that only one of two is right about.

    Attributes:
        first: right in the first only.
        second: right in the second only.
        exact: p-value of McNemar's exact test.
        chi_square: p-value of the chi-square approximation with correction for continuity.
    """

    first: int
    second: int
    exact: float
    chi_square: float


@dataclass(frozen=True)
class Comparison:
    """Two classifiers: difference of the areas (DeLong) and of the calls (McNemar)."""

    areas: Difference
    calls: Discordant


@dataclass(frozen=True)
class Reader:
    """Calls of a reader, and of the classifier for the same patients."""

    name: str
    counts: Counts
    against: Discordant


def compare(first: Result, second: Result) -> Comparison:
    """Compare two classifiers.

    Raises:
        UserError: they were evaluated on different cases, or with different diagnoses.
    """
    one, other = (
        {case.case: (case.label, case.patient) for case in result.predictions.of(result.split)}
        for result in (first, second)
    )
    unlike = sorted(one.keys() ^ other.keys()) or [case for case in one if one[case] != other[case]]
    order = [case.case for case in first.predictions.of(first.split)]
    if unlike or order != [case.case for case in second.predictions.of(second.split)]:
        raise UserError(
            f"the classifiers cannot be compared: they have different cases or diagnoses in {first.split}: "
            f"{some(unlike) or 'another order'}; train both with one table"
        )
    return Comparison(
        difference(first.labels, first.probabilities, second.probabilities),
        discordant(first.labels, first.calls, second.calls),
    )


def discordant(
    labels: NDArray[np.int64], first: NDArray[np.int64], second: NDArray[np.int64]
) -> Discordant:
    """McNemar's tests of two calls; (n,) each."""
    b = int(((first == labels) & (second != labels)).sum())
    c = int(((first != labels) & (second == labels)).sum())
    return Discordant(b, c, mcnemar.exact(b, c), mcnemar.chi_square(b, c)[1])


def read_readers(path: Path, result: Result) -> list[Reader]:
    """Read the calls of readers and compare each with the classifier.

    Args:
        path: CSV with the columns case, reader and call; a call is one of the two classes.
        result: of the classifier on the same cases.

    Raises:
        UserError: a column is missing, a call is not one of the classes, or a reader lacks a case or has two calls.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--readers {path}: cannot be read ({error})") from error
    rows = list(csv.DictReader(io.StringIO(text)))
    if not rows or not {"case", "reader", "call"} <= set(rows[0]):
        raise UserError(f"--readers {path}: columns case, reader and call are required")
    classes = result.predictions.classes
    cases = [one for one in result.predictions.of(result.split) if one.label is not None]
    calls: dict[str, dict[str, int]] = {}
    for number, row in enumerate(rows, 2):
        if row["call"] not in classes:
            raise UserError(
                f"--readers {path}: row {number}: call {row['call']!r}; allowed are {' and '.join(classes)}"
            )
        own = calls.setdefault(row["reader"], {})
        if row["case"] in own:
            raise UserError(
                f"--readers {path}: row {number}: {row['reader']} has two calls for {row['case']}"
            )
        own[row["case"]] = classes.index(row["call"])
    labels = np.array([one.label for one in cases])
    model = np.array([one.call for one in cases])
    found = []
    for name, own in calls.items():
        missing = [one.case for one in cases if one.case not in own]
        if missing:
            raise UserError(
                f"--readers {path}: {name} has no call for {some(missing)}; add the rows, or remove the reader"
            )
        theirs = np.array([own[one.case] for one in cases])
        found.append(Reader(name, count(labels, theirs), discordant(labels, model, theirs)))
    return found
