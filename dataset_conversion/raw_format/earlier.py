"""What an earlier conversion holds that the next one would lose: corrected masks, and cases of another source."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from dataset_conversion.cases.case import SUBSETS, Case, Sample
from dataset_conversion.errors import DatasetError, some
from dataset_conversion.io.atomic_files import digest, digest_json, link
from dataset_conversion.io.label_maps import read_mask
from dataset_conversion.io.volumes import read_image
from dataset_conversion.raw_format.manifest import Record
from dataset_conversion.raw_format.splits import OWN, Splits
from dataset_conversion.raw_format.staging import SPLITS, Staging


@dataclass(frozen=True)
class Losses:
    """Files of an earlier conversion that cannot be made again from the source.

    Attributes:
        edited: files that were changed after the conversion.
        gone: cases that are no longer in the source.
        renewed: cases whose id now belongs to another image.
        files: path in the dataset -> SHA-256, of all files of these cases.
    """

    edited: tuple[str, ...]
    gone: tuple[str, ...]
    renewed: tuple[str, ...]
    files: Mapping[str, str]

    def message(self, place: Staging) -> str:
        """Return what would be lost, and the fix."""
        parts = [
            (self.edited, "changed after the conversion"),
            (self.gone, "no longer in the source"),
            (self.renewed, "of another image now"),
        ]
        lost = "; ".join(f"{what}: {some(names)}" for names, what in parts if names)
        return (
            f"{place.target}: cases of the earlier conversion would be lost ({lost}); correct masks in the source, "
            "not here; convert another source to another id; or pass --overwrite, which keeps a copy in "
            f"{folder_of(place)}"
        )

    def notes(self, place: Staging) -> list[str]:
        """Return the notes on what is overwritten."""
        if not self.files:
            return []
        parts = [
            (self.edited, "changed after the conversion, converted again"),
            (self.gone, "removed, no longer in the source"),
            (self.renewed, "replaced, of another image now"),
        ]
        found = [f"{what}: {', '.join(names)}" for names, what in parts if names]
        return [*found, f"a copy of these cases is in {self.copy(place)}"]

    def copy(self, place: Staging) -> Path:
        """Return the folder of the copy; equal files get the same one."""
        return folder_of(place) / digest_json(dict(self.files))[:8]

    def keep(self, place: Staging) -> None:
        """Link the files into the folder of the copy."""
        for file in self.files:
            link(place.target / file, self.copy(place) / file)


def folder_of(place: Staging) -> Path:
    """Return the folder of the copies: next to the dataset, without a name that nnU-Net takes for one."""
    return place.raw_root / f"replaced_{place.dataset}"


def losses(cases: Sequence[Case], plain: Mapping[str, Mapping[str, str]], old: Mapping[str, Record],
           kept: Mapping[str, Record], target: Path) -> Losses:  # fmt: skip
    """Find what the conversion would lose.

    Other settings and other masks in the source lose nothing: the old files can be made again.

    `plain` are the cases' digests without a salt, as an older version recorded them; `old` are all earlier
    records, `kept` those whose files stay.
    """
    now = {case.name: case for case in cases}
    edited: list[str] = []
    gone: list[str] = []
    renewed: list[str] = []
    files: dict[str, str] = {}
    for name in sorted(set(old) - set(kept)):
        there = {f: digest(target / f) for f in old[name].files if (target / f).is_file()}
        changed = [file for file, sha in there.items() if sha != old[name].files[file]]
        edited += changed
        known = old[name].sources
        other = name in now and not any(
            _same_image(known, sources) for sources in (now[name].sources, plain[name])
        )
        renewed += [name] if other else []
        if changed or other or name not in now:
            files.update(there)
        gone += [name] if there and name not in now else []
    return Losses(tuple(edited), tuple(gone), tuple(renewed), files)


def _same_image(known: Mapping[str, str], sources: Mapping[str, str]) -> bool:
    images = {role: sha for role, sha in known.items() if "mask" not in role}
    return images == {role: sha for role, sha in sources.items() if "mask" not in role}


def unreadable(cases: Sequence[Case], old: Mapping[str, Record], problems: int, settings: str,
               manifest: Mapping[str, Any], splits: Splits, target: Path) -> list[Case]:  # fmt: skip
    """Return cases of an earlier conversion whose sources cannot be read now, as cases that load their old files.

    A source with a problem does not show its case id. Missing cases are taken for those of such sources if
    there are as many problems, and if they were converted with the same settings.

    `problems` is the number of sources with a problem. `old`, `manifest` and `target`, the folder, are of the
    earlier conversion, `settings` (their digest) and `splits` of this one.
    """
    missing = sorted(set(old) - {case.name for case in cases})
    if len(missing) > problems or any(old[name].settings != settings for name in missing):
        return []
    numbers = manifest.get("patients", {})
    groups = {numbers[case.name]: case.group for case in cases if case.name in numbers}
    named = splits.split == OWN or splits.test in SUBSETS
    held = _held_out(target) if named else []
    found = []
    for name in missing:
        record = old[name]
        group = groups.setdefault(numbers.get(name, name), f"case {name}")
        subset = _subset(record, name in held) if named else ""
        labelled = any(file.startswith("labels") for file in record.files)
        voxels = int(np.prod(record.grid["size"]))
        where = f"{target}: {name}"
        load = partial(_load, target, tuple(sorted(record.files)))
        found.append(Case(name, group, where, record.sources, labelled, voxels, load, subset))
    return found


def from_files(case: Case, record: Record, target: Path) -> Case:
    """Return a case that loads the files of the earlier conversion."""
    return replace(case, load=partial(_load, target, tuple(sorted(record.files))))


def _held_out(target: Path) -> list[str]:
    path = target / SPLITS
    try:
        folds = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
        return list(folds[0]["val"]) if folds else []
    except (ValueError, LookupError, TypeError) as error:
        raise DatasetError(f"{path}: damaged ({error!r}); restore it, or remove it") from error


def _subset(record: Record, held: bool) -> str:
    if any(file.startswith("labelsTs") for file in record.files):
        return "test"
    return "val" if held else "train"


def _load(target: Path, files: Sequence[str]) -> Sample:
    images = tuple(read_image(target / f)[0] for f in files if f.startswith("images"))
    masks = [read_mask(target / f).image for f in files if f.startswith("labels")]
    return Sample(images, masks[0] if masks else None)


def stay(cases: Sequence[Case], old: Mapping[str, Record], done: Mapping[str, Record],
         fits: Callable[[Case, Record], bool]) -> dict[str, Record]:  # fmt: skip
    """Return the earlier records of cases that could not be converted again, if they are still valid.

    `fits` states whether settings, names and files of an earlier case are those of now.
    """
    failed = [case for case in cases if case.name in old and case.name not in done]
    return {case.name: old[case.name] for case in failed if fits(case, old[case.name])}


def staying(names: Sequence[str]) -> list[str]:
    """Return the note on cases that stay as they are because their sources have problems."""
    if not names:
        return []
    return [f"kept as converted earlier, as their sources have problems now: {', '.join(names)}"]
