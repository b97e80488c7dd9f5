"""Tables of a reader study: reads, truth, and the words for positive and negative."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

from dataset_conversion.dicom.patients import spelling
from nnunet_plugins.csv_cells import UNKNOWN, Cell, table
from nnunet_plugins.diagnosis.calls import OPPOSITES
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.cases import listed
from nnunet_plugins.evaluation.patients import numbered
from nnunet_plugins.readers.reads import ARMS, Read, Reads, check_names

REQUIRED = ("case", "reader", "arm")
OPTIONAL = ("date", "order", "call", "confidence", "minutes", "truth", "comment")
_EXAMPLE = "expected e.g. case,reader,arm,date,call,confidence,minutes"
_FIRST = date(1990, 1, 1)  # earlier dates are errors of typing
_LONGEST = 60  # characters of a reader's name, for tables and figures
_TRUTH = "expected e.g. case,truth,patient"


def read_reads(path: Path, truth: Path | None, positive: str | None) -> Reads:
    """Read the table of reads and that of the truth.

    Args:
        path: CSV file with the columns case, reader, arm (alone or assisted) and, where known, date (2024-05-31, with
            or without a time), order, call, confidence, minutes, truth; comment is not read.
        truth: CSV file with the columns case, truth and, where patients have several cases, patient; None takes the
            column truth of the table of reads.
        positive: the word for positive in call and truth; None if they are 1 and 0, yes and no, true and false or
            positive and negative.

    Raises:
        DatasetError: a file cannot be read.
        UserError: a column is missing or unknown, a cell is not understood, a case is read twice by one reader in one
            arm, `check_names` refuses a reader, the truth of a case with a call or confidence is missing or
            contradictory, or all cases are of one class.
    """
    rows = table(path, "table of reads", _EXAMPLE, REQUIRED, OPTIONAL)
    if not rows:
        raise UserError(f"{path}: the table has no row below its header; {_EXAMPLE}")
    true, patients = _truth(truth) if truth else (_own_truth(rows), {})
    calls = {row["call"].text for row in rows if row.get("call") and row["call"].text}
    words = _words(calls | {cell.text for cell in true.values()}, positive, path, bool(true))
    reads = tuple(_read(row, words) for row in rows)
    _check_once(reads, path)
    check_names(dict.fromkeys(read.reader for read in reads), path)
    spellings = calls | {cell.text for cell in true.values()}
    word = next((one for one in sorted(spellings) if words[one.casefold()]), "positive")
    known = {case: words[cell.text.casefold()] for case, cell in true.items()}
    found = Reads(reads, known, word, patients)
    if found.has("call") or (known and found.has("confidence")):
        _check_truth(found, truth or path)
    if not truth and known:
        found = replace(
            found,
            notes=(
                "the truth is in the table of reads: keep it in another file (--truth), which no reader opens",
            ),
        )
    return found


def _read(row: Mapping[str, Cell], words: Mapping[str, bool]) -> Read:
    empty = Cell("", "")
    arm, call = row["arm"], row.get("call", empty)
    if arm.text.casefold() not in ARMS:
        raise UserError(f"{arm.where} is {arm.text!r}; allowed are {', '.join(ARMS)}")
    if len(row["reader"].text) > _LONGEST:
        raise UserError(
            f"{row['reader'].where} has {len(row['reader'].text)} characters, more than {_LONGEST}; use a pseudonym"
        )
    minutes = row.get("minutes", empty)
    if minutes.number is not None and minutes.number < 0:
        raise UserError(f"{minutes.where} is {minutes.text}; a reading time is 0 or more")
    return Read(
        row["case"].name,
        row["reader"].name,
        arm.text.casefold(),
        _date(row.get("date", empty)),
        row.get("order", empty).number,
        words[call.text.casefold()] if call.text else None,
        row.get("confidence", empty).number,
        minutes.number,
    )


def _date(cell: Cell) -> datetime | None:
    if not cell.text:
        return None
    try:
        found = datetime.fromisoformat(cell.text).replace(tzinfo=None)
    except ValueError as error:
        raise UserError(
            f"{cell.where} is {cell.text!r}; expected year-month-day, e.g. 2024-05-31 or 2024-05-31 14:05, because "
            "3/4 is another day in other countries"
        ) from error
    if not _FIRST <= found.date() <= date.today():
        raise UserError(
            f"{cell.where} is {cell.text!r}; a date is between {_FIRST} and today, {date.today()}: correct the year"
        )
    return found


def _words(
    values: Collection[str], positive: str | None, path: Path, has_truth: bool
) -> dict[str, bool]:
    """Word in lower case -> whether it means positive."""
    words = sorted({value.casefold() for value in values})
    if len(words) > 2:
        # The words may be the patients' ids: they are counted, not shown.
        where = "call and truth have" if has_truth else "the calls have"
        raise UserError(
            f"{path}: {where} {len(words)} different values; expected two, one for positive and one for negative (is "
            "the column truth an identifier, or are words misspelled?)"
        )
    if positive is not None:
        if words and positive.casefold() not in words:
            raise UserError(
                f"--positive {positive}: call and truth have {' and '.join(words)}; pass one of them"
            )
        return {word: word == positive.casefold() for word in words}
    for yes, no in OPPOSITES.items():
        if set(words) <= {yes, no}:
            return {word: word == yes for word in words}
    raise UserError(
        f"{path}: call and truth have {' and '.join(words)}; pass --positive with the one that means positive"
    )


def _own_truth(rows: Sequence[Mapping[str, Cell]]) -> dict[str, Cell]:
    found: dict[str, Cell] = {}
    for row in rows:
        cell = row.get("truth")
        if cell is not None and cell.text:
            first = found.setdefault(row["case"].name, cell)
            _same(row["case"].name, first, cell)
    return found


def _truth(path: Path) -> tuple[dict[str, Cell], dict[str, int]]:
    """Case -> its truth, and case -> number of its patient."""
    found: dict[str, Cell] = {}
    patients: dict[str, str] = {}
    for row in table(path, "table of the truth", _TRUTH, ("case", "truth"), ("patient", "comment")):
        case = row["case"].name
        if case in found:
            raise UserError(f"{row['case'].where}: {case} has a second row; keep one of them")
        found[case] = row["truth"]
        if "patient" in row:
            patient = row["patient"].text
            if patient.casefold() in UNKNOWN:
                raise UserError(
                    f"{row['patient'].where} is {patient!r}; expected a patient, because cases of unknown patients "
                    "may be of one: complete the column or remove it"
                )
            patients[case] = spelling(patient) or patient
    return found, numbered(patients)


def _same(case: str, first: Cell, second: Cell) -> None:
    if first.text.casefold() != second.text.casefold():
        raise UserError(
            f"{second.where} is {second.text!r}, but {first.text!r} in another row of {case}; correct one of them"
        )


def _check_once(reads: Sequence[Read], path: Path) -> None:
    seen: set[tuple[str, str, str]] = set()
    for read in reads:
        key = (read.case, read.reader, read.arm)
        if key in seen:
            raise UserError(
                f"{path}: {read.reader} has two rows for {read.case} ({read.arm}); keep one of them"
            )
        seen.add(key)


def _check_truth(reads: Reads, path: Path) -> None:
    without = sorted(
        {read.case for read in reads.reads if (read.call, read.confidence) != (None, None)}
        - set(reads.truth)
    )
    if without:
        raise UserError(
            f"{path}: the truth of {len(without)} cases with a call or confidence is missing: {listed(without)}; add "
            "a column truth, or pass --truth FILE.csv"
        )
    if len(set(reads.truth.values())) < 2:
        kind = "positive" if any(reads.truth.values()) else "negative"
        raise UserError(
            f"{path}: all {len(reads.truth)} cases are {kind}; sensitivity, specificity and AUC need cases of both "
            "classes"
        )
