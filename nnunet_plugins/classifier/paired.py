"""Two classifiers, or a classifier and readers, on the same patients."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dataset_conversion.errors import some
from nnunet_plugins.classifier.measures import Result
from nnunet_plugins.csv_cells import table
from nnunet_plugins.diagnosis import mcnemar
from nnunet_plugins.diagnosis.calls import Counts, count
from nnunet_plugins.diagnosis.delong import Difference, difference
from nnunet_plugins.errors import UserError

COLUMNS = ("case", "reader", "call")


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
    classes = result.predictions.classes
    words = [one.casefold() for one in classes]
    cases = [one for one in result.predictions.of(result.split) if one.label is not None]
    calls: dict[str, dict[str, int]] = {}
    for row in table(path, "table of --readers", "expected e.g. case,reader,call", COLUMNS):
        case, reader, call = (row[name] for name in COLUMNS)
        if call.text.casefold() not in words:
            raise UserError(f"{call.where} is {call.text!r}; allowed are {' and '.join(classes)}")
        own = calls.setdefault(reader.text, {})
        if case.text in own:
            raise UserError(f"{case.where}: {reader.text} has two calls for {case.text}; keep one")
        own[case.text] = words.index(call.text.casefold())
    if not calls:
        raise UserError(f"--readers {path}: no row below the heading")
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
