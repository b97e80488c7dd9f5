"""Write images alone into one flat folder, as `nnUNetv2_predict -i` takes them: CASE_0000.nii.gz.

The images are oriented, windowed and resampled as those of a dataset. The folder appears at the end, complete.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from dataset_conversion.cases.case import Case, unique
from dataset_conversion.cases.preprocess import Prepared, prepare
from dataset_conversion.errors import DatasetError, disk_error, together
from dataset_conversion.io.atomic_files import check_space, flush_folder
from dataset_conversion.io.geometry import in_mm
from dataset_conversion.io.nifti_writer import write_image
from dataset_conversion.parallel import Progress, Run, gather
from dataset_conversion.raw_format.description import ENDING, Description
from dataset_conversion.raw_format.prepared_case import loaded
from dataset_conversion.raw_format.staging import Staging
from dataset_conversion.raw_format.summary import Report, by_note, counted, listed

ENDINGS = (ENDING, ".nii", ".nrrd", ".mha")


@dataclass(frozen=True)
class ImagesReport(Report):
    """What a conversion of images alone did, or would do in a dry run; `dataset` is the folder."""

    def __str__(self) -> str:
        """Return the text for the terminal."""
        done = "would be written" if self.dry_run else "written"
        lines = [
            f"{self.dataset}{' (dry run: nothing was written)' if self.dry_run else ''}",
            f"  {counted(self.written, 'image')} {done}, {len(self.problems)} left out",
            f"  spacings of the sources (x, y, z in mm): {listed(self.spacings)}",
            f"  orientations: {listed(self.orientations)}; written as {self.orientation}",
        ]
        lines += [f"  done to each case: {step}" for step in self.steps]
        return "\n".join([*lines, *self.remarks()])


@dataclass(frozen=True)
class _Work:
    dataset: Description
    place: Staging
    ending: str
    run: Run
    progress: Progress | None


def write_images(dataset: Description, target: Path, run: Run, progress: Progress | None = None, *,
                 ending: str = ENDING) -> ImagesReport:  # fmt: skip
    """Write the images of a description's cases to a new folder, without masks.

    Args:
        dataset: its cases, channels and output are used; its id, labels and splits are not.
        target: a new or an empty folder.
        run: number of workers, and how to treat bad cases.
        progress: wraps the list of cases, e.g. tqdm.
        ending: file ending that the model reads; see `ENDINGS`.

    Raises:
        DatasetError: the folder holds files, an ending that is not written, a full disk, or the problems of all
            cases together (unless the run keeps going).
    """
    if ending not in ENDINGS:
        raise DatasetError(
            f"the model reads {ending} files; volumes are written as {', '.join(ENDINGS)}: convert the images with "
            "the tool that made its training images"
        )
    target = Path(os.path.abspath(target))
    work = _Work(dataset, Staging(target.parent, target.name), ending, run, progress)
    check_new(target)
    cases, clashes = unique(dataset.cases)
    problems = [*dataset.problems, *clashes]
    _stop_at(problems, cases, run)
    check_space(target, sum(_bytes(case, dataset) for case in cases))
    if run.dry_run:
        done, more = _each(work, cases, lambda case: _ready(case, dataset))
        return _report(work, done, [*problems, *more])
    with work.place.alone():
        try:
            return _write(work, cases, problems)
        except OSError as error:
            raise disk_error(target, error) from error
        finally:
            work.place.discard()


def _write(work: _Work, cases: Sequence[Case], problems: list[str]) -> ImagesReport:
    """Write into a hidden folder next to the target, then rename it."""
    place = work.place
    place.discard()  # of a run that was killed
    place.scratch.mkdir(parents=True)
    done, more = _each(work, cases, lambda case: _convert(case, work))
    problems = [*problems, *more]
    _stop_at(problems, done, work.run)
    shutil.rmtree(place.scratch)
    flush_folder(place.staged)
    check_new(place.target)
    if place.target.exists():
        place.target.rmdir()
    place.staged.rename(place.target)
    return _report(work, done, problems)


def check_new(target: Path) -> None:
    """Reject a target that holds files, or that nnU-Net would take for a dataset."""
    if target.is_file():
        raise DatasetError(f"{target}: is a file; pass a new folder with -o")
    if target.is_dir() and any(target.iterdir()):
        raise DatasetError(
            f"{target}: is not empty, and old images would be predicted with the new ones; pass a new folder with "
            "-o, or remove this one"
        )
    if re.match(r"Dataset\d{3}_", target.name):
        raise DatasetError(
            f"{target}: nnU-Net takes a folder of this name for a dataset; pass another name with -o"
        )


def _stop_at(problems: Sequence[str], remaining: Sequence[Case] | Mapping[str, Prepared],
             run: Run) -> None:  # fmt: skip
    if problems and not (remaining and (run.keep_going or run.dry_run)):
        raise together(problems)


def _each(work: _Work, cases: Sequence[Case],
          task: Callable[[Case], Prepared]) -> tuple[dict[str, Prepared], list[str]]:  # fmt: skip
    done, problems = gather(task, cases, work.run.jobs, work.progress)
    return {case.name: ready for case, ready in done}, problems


def _ready(case: Case, dataset: Description) -> Prepared:
    """Load and prepare a case; return it without its voxels."""
    ready = _prepared(case, dataset)
    return Prepared((), None, {}, ready.notes, ready.grid)


def _prepared(case: Case, dataset: Description) -> Prepared:
    return prepare(loaded(case, dataset), dataset.labels, dataset.output, case.where)


def _convert(case: Case, work: _Work) -> Prepared:
    ready = _prepared(case, work.dataset)
    for channel, image in enumerate(ready.images):
        path = work.place.staged / f"{case.name}_{channel:04d}{work.ending}"
        if work.ending == ENDING:
            write_image(image, path, work.place.scratch)
        else:
            _write_other(image, path)
    return Prepared((), None, {}, ready.notes, ready.grid)


def _write_other(image: sitk.Image, path: Path) -> None:
    for key in image.GetMetaDataKeys():  # may hold names
        image.EraseMetaData(key)
    try:
        sitk.WriteImage(image, str(path), path.name.endswith((".nrrd", ".mha")))
    except RuntimeError as error:
        raise DatasetError(f"{path}: cannot be written; is the disk full?") from error


def _bytes(case: Case, dataset: Description) -> int:
    """Return the uncompressed size, an upper bound."""
    return case.voxels * (4 if dataset.output.window else 2) * len(dataset.channel_names)


def _report(work: _Work, done: Mapping[str, Prepared], problems: Sequence[str]) -> ImagesReport:
    output = work.dataset.output
    spacings = Counter(in_mm(one.grid["spacing"]) for one in done.values())
    return ImagesReport(
        work.place.target,
        written=len(done),
        notes=[*work.dataset.notes, *by_note({name: one.notes for name, one in done.items()})],
        problems=tuple(problems),
        cases=frozenset(done),
        test=frozenset(done),
        spacings=dict(sorted(spacings.items())),
        orientations=dict(Counter(one.grid["orientation"] for one in done.values()).most_common()),
        patients=len({case.group for case in work.dataset.cases if case.name in done}),
        orientation=output.orientation,
        steps=tuple(output.changes()),
        dry_run=work.run.dry_run,
        keep_going=work.run.keep_going,
    )
