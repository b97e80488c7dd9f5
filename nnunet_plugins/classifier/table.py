"""The table of cases: patient, diagnosis and split, from a CSV file. Patients are numbered, never named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset_conversion.dicom.patients import spelling
from dataset_conversion.errors import some
from nnunet_plugins.csv_cells import UNKNOWN, Cell, table
from nnunet_plugins.diagnosis.calls import OPPOSITES
from nnunet_plugins.errors import UserError
from nnunet_plugins.evaluation.patients import numbered

#: What a table may call a split -> its name.
SPLITS = {
    "train": "train", "training": "train", "tr": "train",
    "val": "validation", "validation": "validation", "tuning": "validation",
    "test": "test", "internal": "test", "internal test": "test",
    "external": "external", "external test": "external",
}  # fmt: skip
EXAMPLE = "case,patient,label,split"
_ID_LIKE = 0.5  # values per patient from which a column is more likely an id or a name than a label


@dataclass(frozen=True)
class Row:
    """One case of the table.

    Attributes:
        case: name of the image in the dataset, without channel and ending.
        patient: number of the patient.
        label: 1 for the positive class.
        split: a value of `SPLITS`, or '' if the table has no splits.
        fold: of a cross-validation; None if the table has no folds.
    """

    case: str
    patient: int
    label: int
    split: str = ""
    fold: int | None = None


@dataclass(frozen=True)
class Table:
    """All rows, and the names of the classes, negative first."""

    rows: tuple[Row, ...]
    classes: tuple[str, str]


def read_table(path: Path, *, label: str = "label", positive: str | None = None) -> Table:
    """Read cases, patients, labels, and splits or folds if there are columns for them.

    Columns: `case` (default: the patient is the case), `patient`, the label, and optionally `split` or `fold`.

    Args:
        path: CSV file, see `rows_of_csv`.
        label: name of the column with the diagnosis.
        positive: the value of the positive class; default: 1 of 1 and 0, yes of yes and no, and others in
            `calls.OPPOSITES`.

    Raises:
        UserError: a column is missing, a cell is empty, a case has two rows, a patient two diagnoses or two splits,
            or the labels are not two classes.
    """
    if label.casefold() in ("patient", "case"):
        raise UserError(f"--label-column {label}: this column names the cases; pass another one")
    name = label.casefold()
    try:
        lines = table(path, "table of cases", f"expected e.g. {EXAMPLE}", ("patient", name))
    except UserError as error:
        raise UserError(f"{error} (the diagnosis: --label-column NAME)") from error
    if not lines:
        raise UserError(f"{path}: no row below the heading; expected e.g. {EXAMPLE}")
    optional = [column for column in ("case", "split", "fold") if column in lines[0]]
    for line in lines:
        for column in ("patient", name, *optional):
            cell = line[column]
            if cell.text.casefold() in UNKNOWN:
                raise UserError(
                    f"{cell.where} is {cell.text!r}, not known; complete or remove the row"
                )
    if {"split", "fold"} <= set(optional):
        raise UserError(f"{path}: has both split and fold; remove one of the two columns")
    cases = [line["case" if "case" in optional else "patient"].text for line in lines]
    twice = [case for case, times in Counter(cases).items() if times > 1]
    if twice:
        raise UserError(f"{path}: {some(twice)}: more than one row; a case has one")
    texts = [line["patient"].text for line in lines]
    patients = numbered(
        {case: spelling(one) or one for case, one in zip(cases, texts, strict=True)}
    )
    labels = [line[name].text for line in lines]
    classes = _classes(path, label, labels, len(set(patients.values())), positive)
    words = [one.casefold() for one in classes]
    rows = tuple(
        Row(
            case,
            patients[case],
            words.index(line[name].text.casefold()),
            _split(line.get("split")),
            _fold(line.get("fold")),
        )
        for case, line in zip(cases, lines, strict=True)
    )
    _check_patients(path, rows)
    return Table(rows, classes)


def patient_ids(path: Path) -> dict[str, str]:
    """Case -> id of its patient, of a table that `read_table` reads; to compare tables, never to be written.

    Raises:
        UserError: the file cannot be read.
    """
    lines = table(path, "table of cases", f"expected e.g. {EXAMPLE}", ("patient",))
    return {
        line.get("case", line["patient"]).text: spelling(text) or text
        for line in lines
        if (text := line["patient"].text)
    }


def check_recorded(rows: Sequence[Row], recorded: Mapping[str, int]) -> None:
    """Check the patients against those that the conversion of the dataset recorded.

    Args:
        rows: with their splits.
        recorded: case -> number of the patient, from conversion.json; cases may be missing.

    Raises:
        UserError: cases of one recorded patient are on two sides, or of two patients in the table.
    """
    first: dict[int, Row] = {}
    for row in rows:
        if row.case not in recorded:
            continue
        other = first.setdefault(recorded[row.case], row)
        if (other.split, other.patient) != (row.split, row.patient):
            raise UserError(
                f"{row.case} ({row.split}) and {other.case} ({other.split}) are of one patient by the dataset's "
                "conversion.json; give them one patient, and one split, in the table"
            )


def _classes(
    path: Path, label: str, texts: Sequence[str], patients: int, positive: str | None
) -> tuple[str, str]:
    """Both classes in the spelling of their first row, negative first."""
    spellings: dict[str, str] = {}
    for text in texts:
        spellings.setdefault(text.casefold(), text)
    values = sorted(spellings)
    what = f"{path}: column {label!r}"
    if len(values) > 2:
        id_like = len(values) >= _ID_LIKE * patients
        raise UserError(
            f"{what} has {len(values)} different values of {patients} patients"
            + ("; is it an id?" if id_like else f": {some(values)};")
            + " Two classes are required; pass --label-column NAME"
        )
    if len(values) < 2:
        raise UserError(f"{what} has one class only ({spellings[values[0]]}); two are required")
    known = next((one for one in values if OPPOSITES.get(one) in values), None)
    chosen = known if positive is None else positive.casefold()
    if chosen not in values:
        given = "" if positive is None else f"--positive {positive}: "
        shown = [spellings[one] for one in values]
        raise UserError(
            f"{given}{what} has the values {' and '.join(shown)}; pass --positive {shown[0]} or "
            f"--positive {shown[1]}"
        )
    negative = values[0] if chosen == values[1] else values[1]
    return spellings[negative], spellings[chosen]


def _split(cell: Cell | None) -> str:
    if cell is None:
        return ""
    found = SPLITS.get(cell.text.casefold().replace("_", " "))
    if found is None:
        allowed = ", ".join(dict.fromkeys(SPLITS.values()))
        raise UserError(f"{cell.where} is {cell.text!r}; allowed are {allowed}")
    return found


def _fold(cell: Cell | None) -> int | None:
    if cell is None:
        return None
    if not cell.text.isdecimal():
        raise UserError(f"{cell.where} is {cell.text!r}; a whole number from 0 is required")
    return int(cell.text)


def _check_patients(path: Path, rows: Sequence[Row]) -> None:
    """No patient has two diagnoses or is on two sides; the messages name cases, not patients."""
    first: dict[int, Row] = {}
    for row in rows:
        other = first.setdefault(row.patient, row)
        if other.label != row.label:
            raise UserError(
                f"{path}: {other.case} and {row.case} are of one patient and have different labels; one diagnosis "
                "per patient is required"
            )
        if (other.split, other.fold) != (row.split, row.fold):
            raise UserError(
                f"{path}: {other.case} and {row.case} are of one patient and in different "
                f"{'folds' if row.fold is not None else 'splits'}; put all cases of a patient on one side"
            )
