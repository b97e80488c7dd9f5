"""What a conversion did, in numbers and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dataset_conversion.labels import Labels
from dataset_conversion.staging import SPLITS, Record, Staging


@dataclass(frozen=True)
class Report:
    """What a conversion did: the dataset's folder, counts of cases, voxels by label, notes."""

    dataset: Path
    written: int
    skipped: int
    voxels: dict[str, int]
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Return a short readable text."""
        counts = "".join(f"\n  {name}: {n:,} voxels" for name, n in self.voxels.items())
        notes = "".join(f"\n  note: {note}" for note in self.notes)
        return (
            f"{self.dataset}\n  {self.written} cases converted, {self.skipped} unchanged"
            f"{counts}{notes}"
        )


def count(place: Staging, labels: Labels, written: int, done: Mapping[str, Record],
          notes: Sequence[str]) -> Report:  # fmt: skip
    """Sum up a finished conversion: voxels by label name over all cases, and every note.

    Args:
        place: the dataset's folders.
        labels: names and remap.
        written: cases converted in this run.
        done: all cases.
        notes: what was found before the cases were read.
    """
    total: dict[int, int] = dict.fromkeys(labels.remap.values(), 0)
    for record in done.values():
        for new, voxels in record.voxels.items():
            total[int(new)] += voxels
    counts = {}
    for name, value in labels.names.items():
        parts = (value,) if isinstance(value, int) else value
        counts[name] = sum(total[labels.remap[part]] for part in parts)
    found = [f"{case}: {note}" for case, record in sorted(done.items()) for note in record.notes]
    never = [name for name, voxels in counts.items() if voxels == 0]
    if never:
        others = ", ".join(f"{name} {voxels}" for name, voxels in counts.items() if voxels)
        found.append(f"labels {never} occur in no case (voxels of the others: {others})")
    if not (place.target / SPLITS).exists():
        found.append("all labelled cases are one group: no folds; train with fold `all`")
    return Report(place.target, written, len(done) - written, counts, [*notes, *found])
