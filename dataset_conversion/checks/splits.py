"""Check splits_final.json of a raw dataset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from dataset_conversion.checks.finding import Finding
from dataset_conversion.errors import some
from dataset_conversion.json_text import parse_json
from dataset_conversion.raw_format.splits import FOLDS
from dataset_conversion.raw_format.staging import SPLITS


def in_splits(folder: Path, training: Iterable[str],
              patients: Mapping[str, int]) -> list[Finding]:  # fmt: skip
    """Check the folds."""
    path = folder / SPLITS
    if not path.is_file():
        return []
    findings: list[Finding] = []

    def find(text: str, error: bool = True) -> None:
        findings.append(Finding(f"{SPLITS}: {text}", error=error))

    known = set(training)
    try:
        sides = _sides(path)
    except (OSError, ValueError, TypeError, KeyError) as error:
        find(f"cannot be read as a list of train and val ({error!r})")
        return findings
    for number, (train, val) in enumerate(sides):
        unknown = sorted({*train, *val} - known)
        if unknown:
            find(f"fold {number} names unknown cases: {some(unknown)}")
        both = sorted(set(train) & set(val))
        if both:
            find(f"fold {number} has {some(both)} on both sides")
        if not train or not val:
            find(f"fold {number} has an empty side")
        held = {patients[c] for c in val if c in patients}
        torn = sorted(c for c in train if patients.get(c) in held and c not in both)
        if torn:
            find(f"fold {number} trains on {some(torn)}; their patients are in its validation too")
    left = sorted(known - {c for train, val in sides for c in (*train, *val)})
    if left:
        find(f"{some(left)} are in no fold", error=False)
    if len(sides) < FOLDS:
        which = "fold 0" if len(sides) == 1 else f"folds 0 to {len(sides) - 1}"
        find(f"{len(sides)} of the usual {FOLDS} folds; train {which}", error=False)
    return findings


def read_sides(folder: Path) -> list[tuple[list[str], list[str]]]:
    """Return the training and validation cases of each fold; empty without a readable file."""
    try:
        return _sides(folder / SPLITS)
    except (OSError, ValueError, TypeError, KeyError):  # reported by `in_splits`
        return []


def _sides(path: Path) -> list[tuple[list[str], list[str]]]:
    folds = parse_json(path.read_text(encoding="utf-8"))
    return [([*map(str, fold["train"])], [*map(str, fold["val"])]) for fold in folds]


def against_preprocessed(folder: Path, preprocessed: Path | None) -> list[Finding]:
    """Compare the folds with those that planning copied to nnUNet_preprocessed."""
    ours = folder / SPLITS
    if preprocessed is None or not ours.is_file():
        return []
    theirs = preprocessed / folder.resolve().name / SPLITS
    try:
        same = not theirs.is_file() or parse_json(ours.read_text()) == parse_json(
            theirs.read_text()
        )
    except (OSError, ValueError):
        same = False
    if same:
        return []
    text = f"{theirs} differs from the dataset's: planning stops without a message; remove it"
    return [Finding(text)]
