"""The table of patient groups (--groups): which cases are of one patient, e.g. follow-ups.

A CSV file with a row for each case: its folder or file, and its patient. Separators are comma,
semicolon or tab. The patients' names in it are used for grouping and are never written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from dataset_conversion.cases.case import Case
from dataset_conversion.datasets.patient_ids import joined
from dataset_conversion.dicom.patients import spelling
from dataset_conversion.errors import DatasetError, some, together
from dataset_conversion.io.csv_rows import rows_of_csv
from dataset_conversion.raw_format.raw_dataset import RawDataset

NAMES = ("folder", "case", "file", "image", "scan", "id", "name", "source")
PATIENTS = ("patient", "group", "subject")
_ENDINGS = re.compile(r"(\.nii|\.seg)?\.(gz|nii|nrrd|mha|mhd|dcm)$", re.IGNORECASE)
_CHANNEL = re.compile(r"_\d{4}$")
#: Cells that stand for a patient who is not known; as `spelling` returns them.
_UNKNOWN = frozenset(("", "na", "n a", "nan", "none", "null", "unknown"))
_EXAMPLE = "expected e.g. folder,patient"


def read_groups(path: Path) -> dict[str, str]:
    """Read the table of patient groups.

    The first row names the columns: one of `NAMES` and one of `PATIENTS` (blanks, `_id` and letter
    case do not matter); other columns are ignored.

    Args:
        path: CSV file in UTF-8 (with or without BOM), UTF-16 with BOM, or Windows-1252.

    Returns:
        Name of a case, as in the table -> patient.

    Raises:
        DatasetError: unreadable, a column is missing, an incomplete row, or two patients for a name.
    """
    rows = rows_of_csv(path, "table of groups", _EXAMPLE)
    if not rows:
        raise DatasetError(f"{path}: the table is empty; {_EXAMPLE}")
    number, header = rows[0]
    at, to = _columns(header, path)
    table: dict[str, str] = {}
    problems = []
    for number, row in rows[1:]:
        row += [""] * (len(header) - len(row))
        name = _plain(row[at])
        if any(row[len(header) :]) or not (name and row[to]):
            problems.append(
                f"{path}: row {number} has {sum(map(bool, row))} filled cells of {len(header)}, "
                f"{header[at]} and {header[to]} are required; complete the row"
            )
        elif spelling(row[to]) in _UNKNOWN:
            problems.append(
                f"{path}: row {number} states no patient ({row[to]!r}); give each patient who is not known a "
                "name or number of its own"
            )
        elif spelling(table.setdefault(name, row[to])) != spelling(row[to]):
            problems.append(
                f"{path}: row {number} gives {name} a second patient; keep one of its rows"
            )
    if not table and not problems:
        problems.append(f"{path}: the table has no row below its header; {_EXAMPLE}")
    if problems:
        raise together(problems)
    return table


def with_groups(
    dataset: RawDataset, table: Mapping[str, str], source: Path, path: Path
) -> RawDataset:
    """Return the dataset with its cases grouped by the table; see `apply`."""
    try:
        cases, notes = apply(dataset.cases, table, source, str(path))
    except DatasetError as error:
        raise together([*dataset.problems, str(error)]) from error
    return replace(dataset, cases=cases, notes=[*dataset.notes, *notes])


def apply(cases: Sequence[Case], table: Mapping[str, str], source: Path,
          path: str) -> tuple[list[Case], list[str]]:  # fmt: skip
    """Group cases by the patients of a table; cases that already share a group stay together.

    A row may name a case by its folder, its file with or without ending, a file in its folder, its
    path (of either kind of slash), its case id, or the group that the dataset itself gives it.

    Paths in the table are relative to `source`, the dataset's folder; `path` is the table, for messages.

    Returns:
        The cases with new groups, and notes.

    Raises:
        DatasetError: a case that no row names, or that rows of two patients name.
    """
    look = Rows.of(table)
    rows = {case.name: look.of_case(case, source) for case in cases}
    missing = [case.where for case in cases if not rows[case.name]]
    unused = [name for name in table if not any(name in found for found in rows.values())]
    if missing:
        more = f" (rows that name no case: {some(unused)})" if unused else ""
        raise DatasetError(
            f"{path}: {len(missing)} of {len(cases)} cases are not in the table: {some(missing)}{more}; "
            "add a row for each, with its folder's or file's name and its patient"
        )
    torn = [case.where for case in cases
            if len({spelling(table[row]) for row in rows[case.name]}) > 1]  # fmt: skip
    if torn:
        raise DatasetError(
            f"{path}: rows of different patients name the same case: {some(torn)}; keep one of them"
        )
    keys = {
        case.name: [f"group {case.group}", f"row {spelling(table[rows[case.name][0]])}"]
        for case in cases
    }
    groups = joined(keys)
    notes = _notes(cases, {name: own[1] for name, own in keys.items()}, len(unused))
    return [replace(case, group=groups[case.name]) for case in cases], notes


def _plain(name: str) -> str:
    r"""Return a name with slashes as on POSIX, without one at the end.

    >>> _plain(".\\scans\\P1\\")
    'scans/P1'
    """
    return name.replace("\\", "/").removeprefix("./").rstrip("/")


def _notes(cases: Sequence[Case], patients: Mapping[str, str], unused: int) -> list[str]:
    notes = []
    if unused:
        notes.append(f"rows of --groups that name no case here: {unused}")
    seen: dict[str, set[str]] = {}
    for case in cases:
        seen.setdefault(case.group, set()).add(patients[case.name])
    torn = sorted(case.name for case in cases if len(seen[case.group]) > 1)
    if torn:
        notes.append(
            "cases of one patient by the source (PatientID or number) with different patients in "
            f"--groups, kept in one fold: {some(torn)}"
        )
    return notes


@dataclass(frozen=True)
class Rows:
    """The rows of a table, by what they may mean.

    Attributes:
        exact: the names in the table.
        cased: name in lower case -> rows.
        loose: spelling -> rows.
        inside: folder -> rows that name something in it.
    """

    exact: frozenset[str]
    cased: Mapping[str, set[str]]
    loose: Mapping[str, set[str]]
    inside: Mapping[str, set[str]]

    @classmethod
    def of(cls, table: Iterable[str]) -> Rows:
        cased: dict[str, set[str]] = {}
        loose: dict[str, set[str]] = {}
        inside: dict[str, set[str]] = {}
        for row in table:
            cased.setdefault(row.casefold(), set()).add(row)
            for name in {row, _CHANNEL.sub("", _ENDINGS.sub("", row))}:
                loose.setdefault(spelling(name), set()).add(row)
            for folder in map(str, PurePosixPath(row).parents):
                if folder != ".":
                    inside.setdefault(folder, set()).add(row)
        return cls(frozenset(table), cased, loose, inside)

    def of_case(self, case: Case, source: Path) -> list[str]:
        """Return the rows that name a case; other spellings count only where no row fits exactly.

        Letter case never counts. Two rows with one spelling, such as 012 and 12, are not matched
        loosely: either may be meant.
        """
        paths = _paths(case, source)
        names = [*_names(case, source), *paths]
        found = [name for name in names if name in self.exact]
        if found:
            found += [row for name in found for row in self.cased[name.casefold()]]
        else:
            found = [row for path in paths for row in sorted(self.inside.get(path, ()))]
        return list(dict.fromkeys(found or self.named(names)))

    def named(self, names: Sequence[str]) -> list[str]:
        """Return the rows with one of the names, else those with another spelling of one."""
        found = [name for name in names if name in self.exact]
        if not found:
            near = [self.loose.get(spelling(name), set()) for name in names]
            found = [next(iter(rows)) for rows in near if len(rows) == 1]
        return list(dict.fromkeys(found))


def _names(case: Case, source: Path) -> list[str]:
    """Return all names under which a table may list a case."""
    names = [case.name, case.group]
    for path, inside in _places(case, source):
        parts = inside.parts
        names += ["/".join(parts[: n + 1]) for n in range(len(parts))]
        names += parts
        bare = _ENDINGS.sub("", path.name)
        names += [bare, _CHANNEL.sub("", bare)]
    return list(dict.fromkeys(name for name in names if name))


def _paths(case: Case, source: Path) -> list[str]:
    """Return the paths of a case's folder or file: below the source, with the source, and absolute."""
    found = []
    for path, inside in _places(case, source):
        absolute = Path(os.path.abspath(path))
        found += [inside.as_posix(), f"{source.resolve().name}/{inside.as_posix()}", str(absolute)]
    return found


def _places(case: Case, source: Path) -> list[tuple[Path, Path]]:
    """Return the paths of a case's sources, as given and below the source."""
    paths = [Path(where) for where in dict.fromkeys([case.where, *case.where.split(" and ")])]
    return [(p, p.relative_to(source) if p.is_relative_to(source) else Path(p.name)) for p in paths]


def _columns(header: Sequence[str], path: Path) -> tuple[int, int]:
    """Return the columns of the name and of the patient."""
    plain = [re.sub(r"[\s_-]*(id)?$", "", cell.casefold()) or cell.casefold() for cell in header]
    names = [i for i, cell in enumerate(plain) if cell in NAMES]
    patients = [i for i, cell in enumerate(plain) if cell in PATIENTS]
    if len(names) > 1:  # the first in the order of NAMES, e.g. case in a key file with a source
        names = sorted(names, key=lambda i: NAMES.index(plain[i]))[:1]
    if len(names) != 1 or len(patients) != 1:
        known = [header[i] for i in (*names, *patients)]
        raise DatasetError(
            f"{path}: of the {len(header)} columns, the first row names {', '.join(known) or 'none that is known'}; "
            f"required are one for the case ({', '.join(NAMES)}) and one for the patient "
            f"({', '.join(PATIENTS)}); name them in the first row"
        )
    return names[0], patients[0]
