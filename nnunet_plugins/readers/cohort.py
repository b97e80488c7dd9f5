"""Table of the patients by group: medians with Mann-Whitney's test, counts with the chi-square test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from dataset_conversion.io.csv_rows import rows_of_csv
from nnunet_plugins.comparison.tables import NOTHING, Sheet, p_text
from nnunet_plugins.csv_cells import UNKNOWN, number
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.cases import listed

_EXAMPLE = "expected e.g. set,age,sex,HLA-B27"
_MOST = 8  # categories of a variable
_FEW = 5  # expected count below which the chi-square approximation is poor
_NOT_SHOWN = frozenset(("case", "patient", "comment"))
_UNKNOWN = UNKNOWN | {"none"}


@dataclass(frozen=True)
class Variable:
    """One variable of the patients, compared between two groups.

    Attributes:
        name: of its column.
        values: of each patient, as text; None if it is not known.
        numeric: whether all known values are numbers, more than two of them different.
        p: of the test; None if a group has no value.
        few: whether an expected count is below 5.
    """

    name: str
    values: tuple[str | None, ...]
    numeric: bool
    p: float | None
    few: bool = False


def cohort_sheet(path: Path, by: str) -> Sheet:
    """Compare two groups of patients in every column of a table with one row per patient.

    Columns with more than two different numbers are numeric: median (quartiles) and the two-sided Mann-Whitney U
    test. Others are categories: counts and Pearson's chi-square test without continuity correction. A column of 0 and
    1 is a category. Values that are not known are counted and left out of the test. The columns case, patient and
    comment are not shown.

    Args:
        path: CSV file.
        by: the column with the group; two groups.

    Raises:
        DatasetError: the file cannot be read.
        UserError: no such column, another number of groups than two, or a text column with more than eight values
            or a different one in each row, which may be an identifier: its values are not shown.
    """
    rows = rows_of_csv(path, "table of patients", _EXAMPLE)
    header = rows[0][1] if rows else []
    if by not in header:
        raise UserError(
            f"{path}: no column {by!r}; --by names one of {', '.join(header) or 'none'}"
        )
    if long := [line for line, cells in rows[1:] if len(cells) > len(header)]:
        raise UserError(f"{path}: row {long[0]} has more cells than the header; correct the row")
    cells = [[*cells, *[""] * (len(header) - len(cells))] for _, cells in rows[1:]]
    groups = [row[header.index(by)] for row in cells]
    names = list(dict.fromkeys(groups))
    if len(names) != 2 or "" in names:
        shown = f": {listed(names)}" if len(names) < _MOST else ""
        raise UserError(
            f"{path}: column {by} has {len(names)} groups{shown}; expected two, without empty cells: choose another "
            "column with --by, or complete it"
        )
    first = np.array([group == names[0] for group in groups])
    variables = [
        _variable(name, [row[place] for row in cells], first, path)
        for place, name in enumerate(header)
        if name != by and name.casefold() not in _NOT_SHOWN
    ]
    return _sheet(by, names, first, variables)


def _variable(name: str, texts: Sequence[str], first: np.ndarray, path: Path) -> Variable:
    values = tuple(None if text.casefold() in _UNKNOWN else text for text in texts)
    known = np.array([value is not None for value in values])
    numbers = [number(value) for value in values if value is not None]
    if None not in numbers and len(set(numbers)) > 2:
        a = np.array(numbers, float)
        of_first = first[known]
        groups = a[of_first], a[~of_first]
        p = float(stats.mannwhitneyu(*groups).pvalue) if all(map(len, groups)) else None
        return Variable(name, values, True, p)
    categories = sorted({value for value in values if value is not None})
    if len(categories) > _MOST or len(categories) == len(values) > 2:
        raise UserError(
            f"{path}: column {name} has {len(categories)} different texts; is it an identifier, a free text, or a "
            f"number with a typing error? correct or remove it (allowed are numbers, or at most {_MOST} categories)"
        )
    table = np.array(
        [
            [
                sum(v == one and bool(f) is side for v, f in zip(values, first, strict=True))
                for one in categories
            ]
            for side in (True, False)
        ]
    )
    if len(categories) < 2 or not table.sum(axis=1).all():
        return Variable(name, values, False, None)
    found = stats.chi2_contingency(table, correction=False)
    return Variable(
        name, values, False, float(found.pvalue), bool((found.expected_freq < _FEW).any())
    )


def _sheet(
    by: str, names: Sequence[str], first: np.ndarray, variables: Sequence[Variable]
) -> Sheet:
    sides = (np.ones_like(first), first, ~first)
    rows = [("patients", "", *(str(int(side.sum())) for side in sides), "")]
    for one in variables:
        p = p_text(one.p) + (" *" if one.few else "")
        missing = [
            sum(v is None for v, s in zip(one.values, side, strict=True) if s) for side in sides
        ]
        if one.numeric:
            rows.append(
                (one.name, "median (quartiles)", *(_median(one, side) for side in sides), p)
            )
        else:
            for place, category in enumerate(sorted({v for v in one.values if v is not None})):
                counts = (_count(one, side, category) for side in sides)
                rows.append(("" if place else one.name, category, *counts, "" if place else p))
        if any(missing):
            rows.append(("", "not known", *map(str, missing), ""))
    notes = [
        "Numbers: median (first to third quartile), two-sided Mann-Whitney U test. Categories: number (percent of "
        "the known), Pearson's chi-square test without continuity correction. P-values are not corrected for their "
        "number."
    ]
    if any(one.few for one in variables):
        notes.append(f"* an expected count is below {_FEW}: the chi-square approximation is poor")
    return Sheet(f"Patients by {by}", ("", "", "all", *names, "p"), tuple(rows), 2, tuple(notes))


def _median(one: Variable, side: np.ndarray) -> str:
    values = [number(v) for v, s in zip(one.values, side, strict=True) if s and v is not None]
    if not values:
        return NOTHING
    low, middle, high = np.percentile(np.array(values, float), [25, 50, 75])
    return f"{middle:.4g} ({low:.4g} to {high:.4g})"


def _count(one: Variable, side: np.ndarray, category: str) -> str:
    known = [v for v, s in zip(one.values, side, strict=True) if s and v is not None]
    k = known.count(category)
    return f"{k} ({100 * k / len(known):.1f} %)" if known else NOTHING
