"""The report of a conversion."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dataset_conversion.errors import some
from dataset_conversion.io.geometry import in_mm
from dataset_conversion.labels import Labels
from dataset_conversion.raw_format.manifest import Record

_MOST = 6  # different spacings or orientations that are listed


@dataclass(frozen=True)
class Report:
    """What a conversion did, or would do in a dry run.

    Attributes:
        dataset: the finished folder.
        written: cases converted by this run.
        skipped: cases that kept their files.
        voxels: label -> voxels over all cases.
        notes: for the user.
        problems: why sources are left out.
        cases: ids of all cases in the dataset.
        test: ids of the cases in imagesTs.
        holders: label -> cases that contain it.
        spacings: spacing of the source as text -> cases.
        orientations: orientation of the source -> cases.
        patients: number of groups.
        folds: (training, validation) cases of each fold.
        orientation: of the written files.
        steps: descriptions of what is done to each case.
        dry_run: nothing was written.
        keep_going: problems do not stop the conversion.
    """

    dataset: Path
    written: int = 0
    skipped: int = 0
    voxels: dict[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    problems: tuple[str, ...] = ()
    cases: frozenset[str] = frozenset()
    test: frozenset[str] = frozenset()
    holders: dict[str, int] = field(default_factory=dict)
    spacings: dict[str, int] = field(default_factory=dict)
    orientations: dict[str, int] = field(default_factory=dict)
    patients: int = 0
    folds: tuple[tuple[int, int], ...] = ()
    orientation: str = "LPS"
    steps: tuple[str, ...] = ()
    dry_run: bool = False
    keep_going: bool = False

    def __str__(self) -> str:
        """Return the text for the terminal."""
        labelled = len(self.cases) - len(self.test)
        lines = [
            f"{self.dataset}{' (dry run: nothing was written)' if self.dry_run else ''}",
            f"  {counted(self.written, 'case')} {'would be ' if self.dry_run else ''}converted, "
            f"{self.skipped} unchanged, {len(self.problems)} left out",
            f"  {counted(self.patients, 'patient')}: {counted(labelled, 'case')} for training, {len(self.test)} for "
            "testing (imagesTs)",
        ]
        if self.folds:
            sizes = ", ".join(f"{train}+{val}" for train, val in self.folds)
            lines.append(f"  folds (training + validation cases): {sizes}")
        lines.append("  labels:")
        for name, count in self.voxels.items():
            lines.append(
                f"    {name}: {count:,} voxels in {counted(self.holders.get(name, 0), 'case')}"
            )
        lines.append(f"  spacings of the sources (x, y, z in mm): {listed(self.spacings)}")
        lines.append(f"  orientations: {listed(self.orientations)}; written as {self.orientation}")
        lines += [f"  done to each case: {step}" for step in self.steps]
        return "\n".join([*lines, *self.remarks()])

    def remarks(self) -> list[str]:
        """Return the lines of notes and problems."""
        lines = [f"  note: {note}" for note in self.notes]
        lines += [f"  left out: {problem}" for problem in self.problems]
        if self.problems and self.dry_run and not self.keep_going:
            lines.append(
                "  the conversion stops at these problems; --keep-going leaves such cases out"
            )
        return lines


def counted(number: int, what: str) -> str:
    """Return a number with its noun: `1 case`, `2 cases`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def summary(dataset: Path, labels: Labels, done: Mapping[str, Record], splits: str | None,
            groups: Mapping[str, str]) -> Report:  # fmt: skip
    """Count labels, spacings and folds over all cases, and collect the notes."""
    total: Counter[int] = Counter()
    having: dict[str, int] = {}
    values = labels.written()
    for record in done.values():
        voxels = {int(value): count for value, count in record.voxels.items()}
        total.update(voxels)
        for name, parts in values.items():
            having[name] = having.get(name, 0) + any(voxels.get(part) for part in parts)
    counts = {name: sum(total[part] for part in parts) for name, parts in values.items()}
    test = frozenset(n for n, r in done.items() if any(f.startswith("imagesTs") for f in r.files))
    spacings = Counter(in_mm(record.grid["spacing"]) for record in done.values())
    notes = by_note({name: record.notes for name, record in done.items()})
    never = [name for name, count in counts.items() if count == 0]
    if never and done:
        others = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
        notes.append(f"labels {never} occur in no case (voxels of the others: {others})")
    shared = {groups[name] for name in test} & {groups[name] for name in set(done) - test}
    if shared:
        seen = sum(groups[name] in shared for name in test)
        notes.append(
            f"{seen} cases without a mask in imagesTs are of patients in the training set: "
            "scores on them do not show how well new patients are segmented"
        )
    folds = [] if splits is None else json.loads(splits)
    if splits is None and done:
        notes.append(
            "all labelled cases are one group, so there are no folds; train with fold `all`"
        )
    return Report(
        dataset,
        voxels=counts,
        notes=notes,
        cases=frozenset(done),
        test=test,
        holders=having,
        spacings=dict(sorted(spacings.items())),
        orientations=dict(Counter(r.grid["orientation"] for r in done.values()).most_common()),
        patients=len(set(groups.values())),
        folds=tuple((len(fold["train"]), len(fold["val"])) for fold in folds),
    )


def by_note(notes: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the notes of cases; a note that several cases share is listed once.

    >>> by_note({"a": ["mask resampled"], "b": ["mask resampled"]})
    ['a, b: mask resampled']
    """
    cases: dict[str, list[str]] = {}
    for name, found in sorted(notes.items()):
        for note in found:
            cases.setdefault(note, []).append(name)
    return [f"{some(names, 3)}: {note}" for note, names in cases.items()]


def listed(counts: Mapping[str, int]) -> str:
    """Return counted texts, the most frequent first.

    >>> listed({"RAS": 1, "LPS": 7})
    'LPS (7), RAS (1)'
    """
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{text} ({count})" for text, count in most[:_MOST]]
    rest = len(most) - _MOST
    return ", ".join(shown) + (f" and {rest} others" if rest > 0 else "") or "none"
