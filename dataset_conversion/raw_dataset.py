"""The one writer: cases to a dataset in nnU-Net's raw format, atomic and resumable.

A dataset is a value: cases with loaders, labels, a name. The writer sees to LPS, one grid, the
remap, read-back, folds by group, the manifest and the preview.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dataset_conversion.case import Case, Output, check_names
from dataset_conversion.errors import DatasetError, together
from dataset_conversion.files import (
    check_space,
    digest,
    digest_json,
    link,
    to_json,
    write_image,
    write_text,
)
from dataset_conversion.labels import Labels
from dataset_conversion.prepare import prepare
from dataset_conversion.preview import FILE as PREVIEW
from dataset_conversion.preview import Row, draw
from dataset_conversion.report import Report, count
from dataset_conversion.splits import grouped_folds
from dataset_conversion.staging import (
    DATASET,
    FOLDERS,
    MANIFEST,
    SPLITS,
    Record,
    Staging,
    dataset_folder,
    fate,
    records,
)

ENDING = ".nii.gz"
_SHARED = (DATASET, SPLITS, PREVIEW)
FORMAT = 1  # of the manifest and of what is written for a case; a change converts anew

Progress = Callable[[Iterable[Any]], Iterable[Any]]


@dataclass(frozen=True)
class RawDataset:
    """A dataset to be written as `Dataset<id>_<name>`.

    Attributes:
        channel_names: one for each image of a sample; nnU-Net picks normalisation by them.
        labels: names and source values.
        display: (low, high) shown black and white in the preview; None takes percentiles.
        notes: what a user should be told besides what the writer finds.
    """

    id: int
    name: str
    channel_names: Sequence[str]
    labels: Labels
    cases: Sequence[Case]
    output: Output = field(default_factory=Output)
    display: tuple[float, float] | None = None
    notes: Sequence[str] = ()

    def write(self, raw_root: Path, progress: Progress | None = None) -> Report:
        """Write the dataset below `raw_root`, or bring an earlier one up to date.

        Cases whose source and settings have not changed keep their files. The dataset appears
        at the end, whole; an interrupted run is continued by the next.

        Args:
            raw_root: nnUNet_raw; made if missing.
            progress: wraps the list of cases that are to be converted, e.g. tqdm.

        Raises:
            DatasetError: bad ids, a target that is not ours, a full disk, and what is wrong with
                any case, all together.
        """
        place = Staging(raw_root, dataset_folder(self.id, self.name))
        with place.alone():
            return self._write(place, progress)

    def _write(self, place: Staging, progress: Progress | None) -> Report:
        cases = sorted(self.cases, key=lambda case: case.name)
        check_names(cases)
        if not any(case.labelled for case in cases):
            raise DatasetError("no case has a mask; nothing can be learnt from this dataset")
        place.recover()
        place.check_target()
        old = records(place.manifest())
        place.check_strays(old)
        settings = self._settings()
        kept = {c.name: old[c.name] for c in cases
                if c.name in old and old[c.name].fits(c.digest, settings, place.target)}  # fmt: skip
        notes = [*self.notes, *self.labels.notes(), *fate(cases, old, kept, place, settings)]
        if len(kept) == len(cases) == len(old) and self._current(place, cases, kept):
            place.discard()
            return count(place, self.labels, 0, kept, notes)
        pending = [case for case in cases if case.name not in kept]
        check_space(place.raw_root, sum(self._bytes(case) for case in pending))
        finished = place.open()
        for name, record in kept.items():
            if not (name in finished and finished[name] == record and record.whole(place.staged)):
                place.adopt(name, record)
        resumed = {c.name: finished[c.name] for c in pending
                   if c.name in finished
                   and finished[c.name].fits(c.digest, settings, place.staged)}  # fmt: skip
        left = [case for case in pending if case.name not in resumed]
        done = {**kept, **resumed, **self._convert(left, place, settings, progress)}
        if (place.target / SPLITS).exists() and self._splits(cases) != _text(place.target / SPLITS):
            notes.append(
                f"{SPLITS} has changed: before planning again remove the one that lies in "
                "nnUNet_preprocessed, or nnU-Net stops without a word"
            )
        self._finish(place, cases, done)
        return count(place, self.labels, len(left), done, notes)

    def _convert(self, cases: Sequence[Case], place: Staging, settings: str,
                 progress: Progress | None) -> dict[str, Record]:  # fmt: skip
        """Convert cases into the hidden folder; go on after a bad one and tell of all."""
        done, problems = {}, []
        for case in progress(cases) if progress and cases else cases:
            try:
                done[case.name] = self._convert_one(case, place, settings)
            except DatasetError as error:
                problems.append(str(error))
        if problems:
            raise together(problems)
        return done

    def _convert_one(self, case: Case, place: Staging, settings: str) -> Record:
        sample = case.load()
        if len(sample.images) != len(self.channel_names) or (
            case.labelled != (sample.mask is not None)
        ):
            raise DatasetError(
                f"{case.where}: {len(sample.images)} channels of {len(self.channel_names)}, mask "
                f"{'found' if sample.mask is not None else 'missing'}; the source changed while "
                "it was read: start again"
            )
        ready = prepare(sample, self.labels, self.output, case.where)
        folder = "imagesTr" if case.labelled else "imagesTs"
        volumes = {
            f"{folder}/{case.name}_{channel:04d}{ENDING}": image
            for channel, image in enumerate(ready.images)
        }
        if ready.mask is not None:
            volumes[f"labelsTr/{case.name}{ENDING}"] = ready.mask
        files = {}
        for name, volume in volumes.items():
            path = place.staged / name
            path.parent.mkdir(exist_ok=True)
            files[name] = write_image(volume, path, place.scratch)
        voxels = {str(value): count for value, count in ready.voxels.items()}
        record = Record(case.digest, settings, files, voxels, list(ready.notes))
        place.remember(case.name, record)
        return record

    def _finish(self, place: Staging, cases: Sequence[Case], done: Mapping[str, Record]) -> None:
        """Write what belongs to the whole dataset and make it visible."""
        place.sweep(dict(done))
        write_text(place.staged / DATASET, self._dataset_json(cases), place.scratch)
        splits = self._splits(cases)
        if splits is None:
            (place.staged / SPLITS).unlink(missing_ok=True)
        else:
            write_text(place.staged / SPLITS, splits, place.scratch)
        self._draw(place.staged, cases, place.scratch)
        ours = {*_SHARED, *FOLDERS, MANIFEST}
        for extra in sorted(place.target.rglob("*")) if place.target.exists() else []:
            inside = extra.relative_to(place.target)
            if extra.is_file() and inside.parts[0] not in ours:  # a user's README or labelsTs, say
                link(extra, place.staged / inside)
        place.finish(self._manifest(place.staged, cases, done))

    def _draw(self, folder: Path, cases: Sequence[Case], scratch: Path) -> None:
        rows = []
        for case in cases:
            images = "imagesTr" if case.labelled else "imagesTs"
            mask = folder / "labelsTr" / f"{case.name}{ENDING}" if case.labelled else None
            rows.append(Row(case.name, folder / images / f"{case.name}_0000{ENDING}", mask))
        names = {
            self.labels.remap[value]: name
            for name, value in self.labels.names.items()
            if isinstance(value, int) and value != 0
        }
        for name, value in self.labels.names.items():
            for part in value if isinstance(value, tuple) else ():
                names.setdefault(self.labels.remap[part], name)
        display = (0.0, 1.0) if self.output.window else self.display
        draw(folder / PREVIEW, rows, names, f"Dataset{self.id:03d}_{self.name}", display, scratch)

    def _dataset_json(self, cases: Sequence[Case]) -> str:
        entry: dict[str, Any] = {
            "channel_names": {str(i): name for i, name in enumerate(self.channel_names)},
            **self.labels.for_nnunet(),
            "numTraining": sum(case.labelled for case in cases),
            "file_ending": ENDING,
            "overwrite_image_reader_writer": "SimpleITKIO",
            # The axis of the array (z, y, x) that nnU-Net's reader gives, before its transposition.
            "nnunet_plugins": {
                "orientation": "LPS",
                "left_right_axis": 2,
                "sided_labels": self.labels.sided(),
            },
        }
        return to_json(entry)

    def _splits(self, cases: Sequence[Case]) -> str | None:
        folds = grouped_folds({case.name: case.group for case in cases if case.labelled})
        return to_json(folds) if folds else None

    def _manifest(self, folder: Path, cases: Sequence[Case], done: Mapping[str, Record]) -> str:
        shared = {name: digest(folder / name) for name in _SHARED if (folder / name).exists()}
        entry = {
            "format": FORMAT,
            "dataset": {"id": self.id, "name": self.name},
            "settings": self._settings_values(),
            "files": shared,
            "cases": {case.name: vars(done[case.name]) for case in cases},
        }
        return to_json(entry)

    def _current(self, place: Staging, cases: Sequence[Case], kept: Mapping[str, Record]) -> bool:
        """Say whether the finished dataset is, to the byte, what would be written now."""
        if _text(place.target / DATASET) != self._dataset_json(cases):
            return False
        if _text(place.target / SPLITS) != self._splits(cases):
            return False
        if not (place.target / PREVIEW).exists():
            return False
        return _text(place.target / MANIFEST) == self._manifest(place.target, cases, kept)

    def _settings_values(self) -> dict[str, Any]:
        window = list(self.output.window) if self.output.window else None
        return {
            "format": FORMAT,
            "orientation": "LPS",
            "channels": list(self.channel_names),
            "labels": self.labels.for_nnunet()["labels"],
            "remap": {str(old): new for old, new in sorted(self.labels.remap.items())},
            "drop": sorted(self.labels.drop),
            "ignore": self.labels.ignore,
            "window": window,
            "drop_empty_slices": self.output.drop_empty_slices,
            "allow_empty_masks": self.output.allow_empty_masks,
        }

    def _settings(self) -> str:
        return digest_json(self._settings_values())

    def _bytes(self, case: Case) -> int:
        """Uncompressed size, more than will be needed."""
        each = 4 if self.output.window else 2
        return case.voxels * (each * len(self.channel_names) + int(case.labelled))


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
