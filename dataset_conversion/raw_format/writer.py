"""One run of a conversion: from what an earlier run left to the finished folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dataset_conversion.cases.case import Case, unique
from dataset_conversion.cases.preprocess import Prepared
from dataset_conversion.errors import DatasetError, together
from dataset_conversion.io.atomic_files import (
    check_space,
    digest,
    digest_json,
    text_of,
    to_json,
    write_text,
)
from dataset_conversion.io.nifti_writer import write_image
from dataset_conversion.io.orientation import stored_code
from dataset_conversion.parallel import Progress, Run, gather
from dataset_conversion.raw_format.copies import find_copies
from dataset_conversion.raw_format.description import ENDING, Description
from dataset_conversion.raw_format.earlier import (
    Losses,
    from_files,
    losses,
    stay,
    staying,
    unreadable,
)
from dataset_conversion.raw_format.manifest import FILE as MANIFEST
from dataset_conversion.raw_format.manifest import FORMAT, Record, patients, records, versions
from dataset_conversion.raw_format.prepared_case import prepared_case, record_of
from dataset_conversion.raw_format.preview import FILE as PREVIEW
from dataset_conversion.raw_format.preview import Row, choose, draw, legend
from dataset_conversion.raw_format.preview_planes import Cuts, cut
from dataset_conversion.raw_format.run_notes import direction_notes, plausibility_notes
from dataset_conversion.raw_format.salted import keyed_sources, mark
from dataset_conversion.raw_format.staging import DATASET, SPLITS, Staging
from dataset_conversion.raw_format.summary import Report, summary

_SHARED = (DATASET, SPLITS, PREVIEW)


class Conversion:
    """One run of a conversion: its inputs and its steps."""

    def __init__(self, dataset: Description, place: Staging, run: Run,
                 progress: Progress | None) -> None:  # fmt: skip
        self.dataset, self.place, self.run, self.progress = dataset, place, run, progress
        self.problems = list(dataset.problems)
        self.cases, clashes = unique(dataset.cases)
        self.problems += clashes
        self._stop_at_problems()
        if not any(case.labelled for case in self.cases):
            raise together([*self.problems, "no case has a mask; there is nothing to train on"])
        self.test = dataset.splits.test_set(self.cases)
        # Invalid subsets are reported before hours of work, not after.
        dataset.splits.folds([c for c in self.cases if c.labelled and c.name not in self.test])
        self.values = dataset.settings_values()
        self.settings = digest_json(self.values)
        self.made_with = versions()
        self.shown = {row.name for row in choose([Row(case.name) for case in self.cases])}
        self.cuts: dict[str, Cuts] = {}
        self.plain = {case.name: case.sources for case in self.cases}
        secret = dataset.secret
        self.cases = [replace(c, sources=keyed_sources(c.sources, secret)) for c in self.cases]
        self.staying: list[str] = []

    def rehearse(self) -> Report:
        """Do everything but write."""
        old, kept, lost = self._begin()
        pending = [case for case in self.cases if case.name not in kept]
        check_space(self.place.raw_root, sum(self._bytes(case) for case in pending))
        notes = lost.notes(self.place) if self.run.overwrite else []
        done = {**kept, **self._each(self._try, pending)}
        done = self._without_copies({**done, **self._stay(old, done)}, notes)
        return self._report(done, pending, notes)

    def write(self) -> Report:
        """Convert what has changed, then swap the dataset in."""
        place = self.place
        place.recover()
        old, kept, lost = self._begin()
        notes = lost.notes(place)
        if len(kept) == len(self.cases) == len(old) and self._current(kept):
            place.discard()
            return self._report(kept, [], notes)
        pending = [case for case in self.cases if case.name not in kept]
        check_space(place.raw_root, sum(self._bytes(case) for case in pending))
        finished = place.open()
        for name, record in kept.items():
            if not (name in finished and finished[name] == record and record.intact(place.staged)):
                place.adopt(name, record)
        resumed = self._fitting(pending, finished, place.staged)
        left = [case for case in pending if case.name not in resumed]
        done = {**kept, **resumed, **self._each(self._convert, left)}
        for name, record in self._stay(old, done).items():
            place.adopt(name, record)
            done[name] = record
        done = self._without_copies(done, notes)
        self._stop_at_problems()
        if not any(name.startswith("labelsTr/") for r in done.values() for name in r.files):
            raise together([*self.problems, "no training case is left; nothing was written"])
        splits = self._splits(done)
        if (place.target / SPLITS).exists() and splits != text_of(place.target / SPLITS):
            notes.append(
                f"{SPLITS} has changed: if this dataset was planned before, remove its {SPLITS} in "
                "nnUNet_preprocessed before planning again, or nnU-Net keeps the former folds"
            )
        lost.keep(place)
        self._finish(old, done, splits)
        return self._report(done, left, notes)

    def _begin(self) -> tuple[dict[str, Record], dict[str, Record], Losses]:
        """Return the cases of an earlier conversion, those that can stay, and what would be lost."""
        place = self.place
        place.check_target()
        manifest = place.manifest()
        old = records(manifest)
        place.check_strays(old)
        self._add_unreadable(old, manifest)
        kept = self._fitting(self.cases, old, place.target)
        lost = losses(self.cases, self.plain, old, kept, place.target)
        if lost.files and not self.run.overwrite:
            if not self.run.dry_run:
                raise DatasetError(lost.message(place))
            self.problems.append(lost.message(place))
        return old, kept, lost

    def _add_unreadable(self, old: Mapping[str, Record], manifest: Mapping[str, Any]) -> None:
        """Add the earlier cases whose sources cannot be read now, if their files can stay as they are."""
        splits, target = self.dataset.splits, self.place.target
        found = unreadable(
            self.cases, old, len(self.problems), self.settings, manifest, splits, target
        )
        if not found:
            return
        before = self.cases, self.test
        self.cases = sorted([*self.cases, *found], key=lambda case: case.name)
        self.test = splits.test_set(self.cases)
        if len(self._fitting(found, old, target)) == len(found):
            self.plain.update({case.name: case.sources for case in found})
            self.staying += [case.name for case in found]
        else:
            self.cases, self.test = before

    def _stay(self, old: Mapping[str, Record], done: Mapping[str, Record]) -> dict[str, Record]:
        """Return the earlier records of cases that could not be converted now and are still valid."""

        def fits(case: Case, record: Record) -> bool:
            same = record.settings == self.settings and set(record.files) == set(self._names(case))
            return same and record.intact(self.place.target)

        found = stay(self.cases, old, done, fits)
        self.staying += found
        self.cases = [from_files(c, found[c.name], self.place.target) if c.name in found else c
                      for c in self.cases]  # fmt: skip
        return found

    def _names(self, case: Case) -> list[str]:
        """Return the names of a case's files in the dataset, images first."""
        training = case.labelled and case.name not in self.test
        images, masks = ("imagesTr", "labelsTr") if training else ("imagesTs", "labelsTs")
        count = len(self.dataset.channel_names)
        names = [f"{images}/{case.name}_{channel:04d}{ENDING}" for channel in range(count)]
        return [*names, f"{masks}/{case.name}{ENDING}"] if case.labelled else names

    def _fitting(self, cases: Sequence[Case], known: Mapping[str, Record],
                 folder: Path) -> dict[str, Record]:  # fmt: skip
        """Return the cases whose files can stay as they are."""
        there = [case for case in cases if case.name in known]

        def fits(case: Case) -> bool:
            return known[case.name].fits(case, self.settings, self._names(case), folder)

        fitting, _ = gather(fits, there, self.run.jobs)
        return {case.name: known[case.name] for case, good in fitting if good}

    def _each(self, work: Callable[[Case], Record], cases: Sequence[Case]) -> dict[str, Record]:
        """Process cases; collect the errors of bad ones."""
        done, problems = gather(work, cases, self.run.jobs, self.progress)
        self.problems += problems
        return {case.name: record for case, record in done}

    def _without_copies(self, done: dict[str, Record],
                        notes: list[str]) -> dict[str, Record]:  # fmt: skip
        """Return the cases without copies of one image; report these, and group near ones."""
        found = find_copies([case for case in self.cases if case.name in done], done, self.test)
        self.problems += found.problems
        notes += found.notes
        self.cases = [replace(c, group=found.groups.get(c.name, c.group)) for c in self.cases]
        return {name: record for name, record in done.items() if name not in found.names}

    def _record(self, case: Case, ready: Prepared, files: dict[str, str]) -> Record:
        return record_of(case, ready, files, self.dataset, self.settings, self.made_with)

    def _try(self, case: Case) -> Record:
        return self._record(
            case, prepared_case(case, self.dataset), dict.fromkeys(self._names(case), "")
        )

    def _convert(self, case: Case) -> Record:
        ready = prepared_case(case, self.dataset)
        volumes = [*ready.images, *([] if ready.mask is None else [ready.mask])]
        files = {}
        for name, volume in zip(self._names(case), volumes, strict=True):
            path = self.place.staged / name
            path.parent.mkdir(exist_ok=True)
            files[name] = write_image(
                volume, path, self.place.scratch, mark(name, self.dataset.secret)
            )
        record = self._record(case, ready, files)
        self.place.remember(case.name, record)
        if case.name in self.shown:
            self.cuts[case.name] = cut(ready.images[0], ready.mask, self._display())
        return record

    def _finish(self, old: dict[str, Record], done: dict[str, Record], splits: str | None) -> None:
        """Write the files of the dataset itself and make it visible."""
        place = self.place
        place.sweep(done)
        write_text(place.staged / DATASET, self._dataset(done), place.scratch)
        if splits is None:
            (place.staged / SPLITS).unlink(missing_ok=True)
        else:
            write_text(place.staged / SPLITS, splits, place.scratch)
        self._draw(done)
        place.carry_over(old, _SHARED)
        place.finish(self._manifest(place.staged, done))

    def _draw(self, done: Mapping[str, Record]) -> None:
        """Draw the preview; planes of this run's cases were kept from memory."""
        labels, staged = self.dataset.labels, self.place.staged
        rows = []
        for name, record in sorted(done.items()):
            images = [staged / file for file in sorted(record.files) if file.startswith("images")]
            masks = [staged / file for file in record.files if file.startswith("labels")]
            test = not self._trains(record)
            mask = masks[0] if masks else None
            rows.append(Row(name, images[0], mask, cuts=self.cuts.get(name), test=test))
        title = f"Dataset{self.dataset.id:03d}_{self.dataset.name}"
        draw(staged / PREVIEW, rows, legend(labels), title, self._display(), self.place.scratch)

    def _display(self) -> tuple[float, float] | None:
        return (0.0, 1.0) if self.dataset.output.window else self.dataset.display

    @staticmethod
    def _trains(record: Record) -> bool:
        return any(name.startswith("labelsTr/") for name in record.files)

    def _dataset(self, done: Mapping[str, Record]) -> str:
        training = sum(self._trains(record) for record in done.values())
        return self.dataset.dataset_json(training, self._stored(done))

    def _stored(self, done: Mapping[str, Record]) -> list[str]:
        """Return the orientation of each case's files."""
        wanted, grids = self.dataset.output.orientation, [record.grid for record in done.values()]
        return [stored_code(grid["spacing"], grid["orientation"], wanted) for grid in grids]

    def _splits(self, done: Mapping[str, Record]) -> str | None:
        training = [c for c in self.cases if c.name in done and self._trains(done[c.name])]
        folds = self.dataset.splits.folds(training) if training else []
        return to_json(folds) if folds else None

    def _manifest(self, folder: Path, done: Mapping[str, Record]) -> str:
        shared = {name: digest(folder / name) for name in _SHARED if (folder / name).exists()}
        groups = {case.name: case.group for case in self.cases if case.name in done}
        entry = {
            "format": FORMAT,
            "dataset": {"id": self.dataset.id, "name": self.dataset.name},
            "settings": self.values,
            "splits": vars(self.dataset.splits),
            "left_out": len(self.problems),
            "salted": bool(self.dataset.secret),
            "files": shared,
            "patients": patients(groups),
            "cases": {name: vars(record) for name, record in sorted(done.items())},
        }
        return to_json(entry)

    def _current(self, kept: Mapping[str, Record]) -> bool:
        """Return whether the finished dataset is, to the byte, what would be written now."""
        target = self.place.target
        return (
            text_of(target / DATASET) == self._dataset(kept)
            and text_of(target / SPLITS) == self._splits(kept)
            and (target / PREVIEW).exists()
            and text_of(target / MANIFEST) == self._manifest(target, kept)
        )

    def _bytes(self, case: Case) -> int:
        """Return the uncompressed size, an upper bound."""
        each_voxel = 4 if self.dataset.output.window else 2
        return case.voxels * (each_voxel * len(self.dataset.channel_names) + int(case.labelled))

    def _stop_at_problems(self) -> None:
        if self.problems and not (self.run.keep_going or self.run.dry_run):
            raise together(self.problems)

    def _report(self, done: Mapping[str, Record], worked: Sequence[Case],
                notes: Sequence[str]) -> Report:  # fmt: skip
        written = sum(case.name in done and case.name not in self.staying for case in worked)
        groups = {case.name: case.group for case in self.cases if case.name in done}
        report = summary(self.place.target, self.dataset.labels, done, self._splits(done), groups)
        all_notes = [
            *self.dataset.notes,
            *self.dataset.labels.notes(),
            *notes,
            *staying(self.staying),
            *direction_notes(self.dataset, done),
            *report.notes,
            *plausibility_notes(self.dataset, done, groups),
        ]
        return replace(
            report,
            written=written,
            skipped=len(done) - written,
            notes=all_notes,
            problems=tuple(self.problems),
            dry_run=self.run.dry_run,
            keep_going=self.run.keep_going,
            orientation=self.dataset.output.orientation,
            steps=tuple(self.dataset.output.changes()),
        )
