"""Training, validation and test cases, by patient and stratified by diagnosis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sklearn.model_selection import train_test_split

from nnunet_plugins.classifier.table import Row, Table
from nnunet_plugins.errors import UserError

#: Patients of paper 002 for training, validation and internal test.
PAPER = (455, 64, 129)
SIDES = ("train", "validation", "test")


def with_splits(
    table: Table, *, fold: int | None = None, shares: Sequence[float] = PAPER, seed: int = 0
) -> list[Row]:
    """Return the rows with their splits: those of the table, those of one fold, or drawn ones.

    With folds, fold F is the test set, the next one (of the highest, the first) the validation set.

    Args:
        table: all rows.
        fold: the fold to test on, for a table with folds.
        shares: patients for training, validation and test, as numbers or shares; for a table without splits.
        seed: of the drawing.

    Raises:
        UserError: training, validation or test has one class only, or the fold does not exist.
    """
    rows = list(table.rows)
    if rows[0].fold is not None:
        rows = _of_fold(rows, fold)
    elif fold is not None:
        raise UserError("--fold: the table has no column fold; remove the option or add the column")
    elif not rows[0].split:
        rows = _drawn(rows, shares, seed)
    for side in SIDES:
        found = {row.label for row in rows if row.split == side}
        if len(found) < 2:
            what = f"only {table.classes[found.pop()]}" if found else "no case"
            raise UserError(
                f"the {side} set has {what}; both {' and '.join(table.classes)} are required in "
                f"{', '.join(SIDES)}"
            )
    return rows


def _of_fold(rows: Sequence[Row], fold: int | None) -> list[Row]:
    known = sorted({row.fold for row in rows if row.fold is not None})
    if fold not in known or len(known) < 3:
        raise UserError(
            f"--fold {fold}: the table has the folds {', '.join(map(str, known))}; pass one of them (at least three "
            "are required: one to test, one to validate, the others to train)"
        )
    tuning = known[(known.index(fold) + 1) % len(known)]
    side: dict[int | None, str] = {fold: "test", tuning: "validation"}
    return [replace(row, split=side.get(row.fold, "train")) for row in rows]


def _drawn(rows: Sequence[Row], shares: Sequence[float], seed: int) -> list[Row]:
    if len(shares) != len(SIDES) or min(shares) <= 0:
        raise UserError(f"--shares: three numbers above 0 are required, for {', '.join(SIDES)}")
    labels = {row.patient: row.label for row in rows}
    patients, whole = list(labels), sum(shares)
    try:
        rest, test = train_test_split(
            patients, test_size=shares[2] / whole, random_state=seed, stratify=[*labels.values()]
        )
        train, tuning = train_test_split(
            rest,
            test_size=shares[1] / (shares[0] + shares[1]),
            random_state=seed,
            stratify=[labels[one] for one in rest],
        )
    except ValueError as error:  # too few patients of a class
        raise UserError(
            f"{len(patients)} patients, {sum(labels.values())} of them positive, cannot be split by the shares "
            f"{':'.join(f'{one:g}' for one in shares)} ({error}); pass other --shares, or a column split"
        ) from error
    sides = dict.fromkeys(train, "train") | dict.fromkeys(tuning, "validation")
    sides |= dict.fromkeys(test, "test")
    return [replace(row, split=sides[row.patient]) for row in rows]
