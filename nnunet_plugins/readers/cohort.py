"""Table of the patients by group: medians with Mann-Whitney's test, counts with the chi-square test."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from dataset_conversion.dicom.patients import parts_of, spelling
from dataset_conversion.io.csv_rows import rows_of_csv
from nnunet_plugins.comparison.tables import NOTHING, Sheet, p_text
from nnunet_plugins.csv_cells import UNKNOWN, number
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.cases import listed

_EXAMPLE = "expected e.g. set,age,sex,HLA-B27"
_MOST = 8  # categories of a variable
_FEW = 5  # expected count below which the chi-square approximation is poor
#: Columns about one patient, in lower case without blanks and separators.
_NOT_SHOWN = frozenset((
    "case", "patient", "comment", "id", "caseid", "patientid", "name", "patientname", "firstname", "lastname",
    "surname", "initials",
))  # fmt: skip


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
    1 is a category. Values that are not known are counted and left out of the test. Words that differ in letter case
    or Unicode's form only, and numbers such as 1 and 1.0, are one category. Columns of ids, names and comments are
    not shown.

    Args:
        path: CSV file.
        by: the column with the group; two groups.

    Raises:
        DatasetError: the file cannot be read.
        UserError: no such column, or one given twice; two rows of one patient; another number of groups than two; a
            column of numbers and a few texts; or a text column with more than eight values or a different one in
            each row, which may be an identifier: its values are not shown.
    """
    rows = rows_of_csv(path, "table of patients", _EXAMPLE)
    header = rows[0][1] if rows else []
    if by not in header:
        raise UserError(
            f"{path}: no column {by!r}; --by names one of {', '.join(header) or 'none'}"
        )
    if twice := [name for name in dict.fromkeys(header) if name and header.count(name) > 1]:
        raise UserError(f"{path}: columns given twice: {', '.join(twice)}; rename or remove one")
    if long := [line for line, cells in rows[1:] if len(cells) > len(header)]:
        raise UserError(f"{path}: row {long[0]} has more cells than the header; correct the row")
    cells = [[*cells, *[""] * (len(header) - len(cells))] for _, cells in rows[1:]]
    lines = [line for line, _ in rows[1:]]
    columns = [[row[place] for row in cells] for place in range(len(header))]
    for name, texts in zip(header, columns, strict=True):
        if name.casefold() == "patient":
            _check_once(texts, lines, path)
    groups = _known(columns[header.index(by)])
    names = [name for name in dict.fromkeys(groups) if name is not None]
    if len(names) != 2 or None in groups:
        shown = f": {listed(names)}" if len(names) < _MOST else ""
        unknown = f", and {groups.count(None)} cells that are not known" if None in groups else ""
        raise UserError(
            f"{path}: column {by} has {len(names)} groups{shown}{unknown}; expected two, without empty cells: choose "
            "another column with --by, or complete it"
        )
    first = np.array([group == names[0] for group in groups])
    variables = [
        _variable(name, texts, first, lines, path)
        for name, texts in zip(header, columns, strict=True)
        if name != by and "".join(parts_of(name)) not in _NOT_SHOWN
    ]
    return _sheet(by, names, first, variables)


def _check_once(patients: Sequence[str], lines: Sequence[int], path: Path) -> None:
    ids = [spelling(text) or text for text in patients]
    if again := [
        line
        for place, line in enumerate(lines)
        if ids[place].casefold() not in UNKNOWN and ids[place] in ids[:place]
    ]:
        raise UserError(
            f"{path}: rows whose patient has a row above: {listed(again)}; expected one row per patient: keep "
            "one of them"
        )


def _known(texts: Sequence[str]) -> tuple[str | None, ...]:
    """The texts, with the first spelling of each; None for values that are not known."""
    first: dict[str, str] = {}
    return tuple(
        None
        if text.casefold() in UNKNOWN
        else first.setdefault(unicodedata.normalize("NFC", text).casefold(), text)
        for text in texts
    )


def _variable(
    name: str, texts: Sequence[str], first: np.ndarray, lines: Sequence[int], path: Path
) -> Variable:
    values = _known(texts)
    known = np.array([value is not None for value in values])
    numbers = [number(value) for value in values if value is not None]
    words = [
        line for line, value in zip(lines, values, strict=True) if value and number(value) is None
    ]
    if 0 < len(words) < len(numbers) / 2:
        raise UserError(
            f"{path}: column {name} has numbers, and {len(words)} of {len(numbers)} cells that are none, in row "
            f"{listed(words)}; correct them, empty those that are not known, or use words in all rows"
        )
    if not words:
        spelled: dict[float | None, str] = {}
        values = tuple(value and spelled.setdefault(number(value), value) for value in values)
    if not words and len(set(numbers)) > 2:
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
