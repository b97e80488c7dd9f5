"""What a conversion did, in numbers and words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dataset_conversion.cases.case import Case
from dataset_conversion.labels import Labels
from dataset_conversion.raw_format.manifest import Record
from dataset_conversion.raw_format.staging import Staging

_MOST = 6  # different spacings that are listed


@dataclass(frozen=True)
class Report:
    """What a conversion did, or in a dry run would have done.

    Attributes:
        dataset: the finished folder.
        written: cases converted in this run.
        skipped: cases whose files were kept.
        voxels: of each label over all cases.
        notes: what the user should know.
        problems: why sources were left out.
        cases: ids of all cases in the dataset.
        test: ids of those in imagesTs.
        holders: label -> number of cases that have it.
        spacings: spacing of the sources as text -> cases.
        orientations: orientation of the sources -> cases.
        patients: number of groups.
        folds: (training, validation) cases of each fold.
        orientation: as written.
        dry_run: nothing was written.
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

    def __str__(self) -> str:
        """Return the summary that a user reads."""
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
        lines.append(f"  spacings of the sources (x, y, z in mm): {_counted(self.spacings)}")
        lines.append(
            f"  orientations: {_counted(self.orientations)}; written as {self.orientation}"
        )
        lines += [f"  done to each case: {step}" for step in self.steps]
        lines += [f"  note: {note}" for note in self.notes]
        lines += [f"  left out: {problem}" for problem in self.problems]
        return "\n".join(lines)


def counted(number: int, what: str) -> str:
    """Return `1 case`, `2 cases`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def summary(dataset: Path, labels: Labels, done: Mapping[str, Record], splits: str | None,
            groups: Mapping[str, str]) -> Report:  # fmt: skip
    """Sum up all cases of a dataset, with every note.

    Args:
        dataset: the finished folder.
        labels: names and remap.
        done: all cases.
        splits: splits_final.json's text.
        groups: case -> patient.
    """
    total: Counter[int] = Counter()
    having: dict[str, int] = {}
    values = {name: _new(labels, name) for name in labels.names}
    for record in done.values():
        voxels = {int(value): count for value, count in record.voxels.items()}
        total.update(voxels)
        for name, parts in values.items():
            having[name] = having.get(name, 0) + any(voxels.get(part) for part in parts)
    counts = {name: sum(total[part] for part in parts) for name, parts in values.items()}
    test = frozenset(n for n, r in done.items() if any(f.startswith("imagesTs") for f in r.files))
    spacings = Counter(" x ".join(f"{v:.4g}" for v in r.grid["spacing"]) for r in done.values())
    notes = _told(done)
    never = [name for name, count in counts.items() if count == 0]
    if never:
        others = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
        notes.append(f"labels {never} occur in no case (voxels of the others: {others})")
    shared = {groups[name] for name in test} & {groups[name] for name in set(done) - test}
    if shared:
        seen = sum(groups[name] in shared for name in test)
        notes.append(
            f"{seen} cases without a mask in imagesTs are of patients who are trained on too: no "
            "score on them says how well others are segmented"
        )
    folds = [] if splits is None else json.loads(splits)
    if splits is None:
        notes.append("all labelled cases are one group: no folds; train with fold `all`")
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


def fate(cases: Sequence[Case], old: Mapping[str, Record], kept: Mapping[str, Record],
         place: Staging, settings: str) -> list[str]:  # fmt: skip
    """Say what becomes of the cases of an earlier conversion."""
    now = {case.name: case for case in cases}
    gone = sorted(set(old) - set(now))
    notes = [f"removed, no longer in the source: {', '.join(gone)}"] if gone else []
    for name in sorted(set(old) & set(now) - set(kept)):
        same = old[name].told(now[name], settings, list(old[name].files))
        if same and not old[name].whole(place.target):
            notes.append(f"{name}: its files were changed after the conversion; converted again")
    return notes


def _told(done: Mapping[str, Record]) -> list[str]:
    """Return the cases' notes; one that many cases share is told once."""
    cases: dict[str, list[str]] = {}
    for name, record in sorted(done.items()):
        for note in record.notes:
            cases.setdefault(note, []).append(name)
    return [
        f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}: {note}"
        for note, names in cases.items()
    ]


def _new(labels: Labels, name: str) -> tuple[int, ...]:
    """Return nnU-Net's values of a label or region."""
    value = labels.names[name]
    return tuple({labels.remap[v] for v in ((value,) if isinstance(value, int) else value)})


def _counted(counts: Mapping[str, int]) -> str:
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{text} ({count})" for text, count in most[:_MOST]]
    rest = len(most) - _MOST
    return ", ".join(shown) + (f" and {rest} others" if rest > 0 else "") or "none"
