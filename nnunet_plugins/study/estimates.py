"""Hours that the trainings of a study take: from its own epochs where there are some, else from the plans."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nnunet_plugins.plans_file import read_object, resolve
from nnunet_plugins.study.folder import Study
from nnunet_plugins.study.jobs import Job, jobs_of
from nnunet_plugins.training_log import read_training_log


@dataclass(frozen=True)
class Estimate:
    """Duration of a training.

    Attributes:
        job: the training.
        hours: of the epochs that are left; None if nothing is known.
        epochs: done.
        total: planned epochs; None before the rows are planned.
        source: ``measured here``, ``estimated for GPU``, or why nothing is known.
    """

    job: Job
    hours: float | None
    epochs: int
    total: int | None
    source: str


def estimates_of(study: Study, gpu: str | None = None) -> list[Estimate]:
    """The trainings of a study, each with the hours that are left.

    Args:
        study: the study.
        gpu: a name of `costs.gpus`, for rows without an epoch yet; None: only measured epochs count.

    Raises:
        UserError: unknown GPU.
    """
    trainings = [job for job in jobs_of(study.settings) if job.kind == "train"]
    rows = study.rows()
    known = [job for job in trainings if job.run in rows]
    epochs = {job: _epoch_seconds(study, job) for job in known}
    measured = {
        row: statistics.median(seconds)
        for row in {job.row for job in known}
        if (seconds := [one for job in known if job.row == row for one in epochs[job]])
    }
    left = [job for job in known if job.row not in measured]
    if gpu and gpu != "cpu":
        from nnunet_plugins.costs.gpus import find_gpu

        find_gpu(gpu)
    expected = _expected(study, left, gpu) if gpu and left else {}
    return [_one(study, job, epochs, measured, expected, gpu) for job in trainings]


def _one(
    study: Study,
    job: Job,
    epochs: Mapping[Job, Sequence[float]],
    measured: Mapping[str, float],
    expected: Mapping[str, float],
    gpu: str | None,
) -> Estimate:
    if job not in epochs:
        return Estimate(job, None, 0, None, "not planned yet")
    done, total = len(epochs[job]), planned_epochs(study, job)
    if (study.folder / job.record).is_file():
        return Estimate(job, 0.0, total, total, "done")
    if job.row in measured:
        seconds, source = measured[job.row], "measured here"
    elif job.row in expected:
        seconds, source = expected[job.row], f"estimated for {gpu}"
    else:
        return Estimate(job, None, done, total, "no epoch yet")
    return Estimate(job, seconds * max(0, total - done) / 3600, done, total, source)


def _epoch_seconds(study: Study, job: Job) -> list[float]:
    return [*read_training_log(study.fold(job)).seconds.values()]


def planned_epochs(study: Study, job: Job) -> int:
    """Epochs of a training, as planned."""
    entry = resolve(read_object(study.plans), study.rows()[job.run]["configuration"])
    return int(entry.get("training", {}).get("epochs", 1000))


def _expected(study: Study, jobs: Sequence[Job], gpu: str) -> dict[str, float]:
    """Row -> seconds of an epoch that its step is estimated to take on a GPU, or on this CPU for ``cpu``."""
    from nnunet_plugins.costs.cpu_speed import probe
    from nnunet_plugins.costs.gpus import find_gpu
    from nnunet_plugins.costs.profile import Clock, profile

    clock = Clock(gpu, probe() if gpu == "cpu" else find_gpu(gpu))
    plans, dataset = read_object(study.plans), read_object(study.preprocessed / "dataset.json")
    rows, found = study.rows(), {}
    for row in dict.fromkeys(job.row for job in jobs):
        job = next(one for one in jobs if one.row == row)
        configuration = rows[job.run]["configuration"]
        (made,) = profile(plans, dataset, clock, configurations=[configuration])
        if made.hours is not None:
            found[row] = made.hours * 3600 / planned_epochs(study, job)
    return found
