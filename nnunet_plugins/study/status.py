"""What of a study is done, running, failed or left."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from nnunet_plugins.logged_commands import tail
from nnunet_plugins.plans_file import read_object
from nnunet_plugins.study.finished import finished_epochs
from nnunet_plugins.study.folder import Study
from nnunet_plugins.study.jobs import Job, jobs_of
from nnunet_plugins.study.locks import is_held

#: Seconds without output after which a job on another machine is taken for interrupted.
SILENT = 1800.0
STATES = ("done", "running", "failed", "interrupted", "waiting")


@dataclass(frozen=True)
class JobStatus:
    """Where a job stands.

    Attributes:
        job: the job.
        state: one of STATES.
        detail: epochs, host, or the error.
        end_of_log: of a failed job.
    """

    job: Job
    state: str
    detail: str = ""
    end_of_log: str = ""


def status_of(study: Study) -> list[JobStatus]:
    """The jobs in their order with their state."""
    return [_one(study, job) for job in jobs_of(study.settings)]


def _one(study: Study, job: Job) -> JobStatus:
    if (study.folder / job.record).is_file():
        done = read_object(study.folder / job.record)
        return JobStatus(
            job, "done", f"{done['seconds'] + done['seconds_before']:.0f} s, {done['host']}"
        )
    file = study.state(job)
    if not file.is_file():
        return JobStatus(job, "waiting")
    state = read_object(file)
    epochs = _epochs(study, job)
    if state["status"] == "failed":
        error = state.get("error", "").partition("; its log")[0]
        return JobStatus(job, "failed", error, tail(study.log(job)))
    if state["status"] == "running" and _is_alive(study, job, state["host"]):
        return JobStatus(job, "running", f"{epochs}on {state['host']} since {state['started']}")
    return JobStatus(job, "interrupted", f"{epochs}on {state['host']}, started {state['started']}")


def _is_alive(study: Study, job: Job, host: str) -> bool:
    """Whether a job that has not ended is running. Not every disk shares locks with other machines."""
    if is_held(study.state(job).with_suffix(".lock")):
        return True
    files = [study.log(job), *(study.fold(job).glob("*.txt") if job.kind == "train" else ())]
    latest = max((file.stat().st_mtime for file in files if file.is_file()), default=0.0)
    return host != os.uname().nodename and time.time() - latest < SILENT


def _epochs(study: Study, job: Job) -> str:
    if job.kind != "train" or job.run not in study.rows():
        return ""
    done, _ = finished_epochs(study.fold(job))
    return f"{done} epochs, "
