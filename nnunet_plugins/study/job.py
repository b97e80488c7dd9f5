"""Runs one job: its commands with their output in a log, its state, and at the end its record."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from nnunet_plugins.atomic_files import write_json
from nnunet_plugins.errors import UserError
from nnunet_plugins.logged_commands import now, run_logged
from nnunet_plugins.plans_file import read_object
from nnunet_plugins.study.finished import discard_damaged, is_finished
from nnunet_plugins.study.folder import JOBS, Study, find_job
from nnunet_plugins.study.gpus import own_gpus
from nnunet_plugins.study.jobs import Job, jobs_of
from nnunet_plugins.study.locks import alone
from nnunet_plugins.study.origin import origin
from nnunet_plugins.study.planned import described_plan
from nnunet_plugins.study.steps import commands_of

#: A killed run's last processes end within three seconds.
PATIENCE = 30.0


def run_job(folder: Path, kind: str, name: str) -> None:
    """Do one job of a study, unless its record exists.

    Raises:
        UserError: no such job, another process does it, or a command failed.
    """
    study = Study.read(folder)
    job = find_job(jobs_of(study.settings), kind, name)
    record = study.folder / job.record
    with alone(study.state(job).with_suffix(".lock"), f"{kind}/{name}", PATIENCE) as lock:
        if record.is_file():
            return
        state = _begin(study, job)
        try:
            done = _do(study, job, state, lock)
        except BaseException as error:
            failed = isinstance(error, Exception)
            state |= {"status": "failed" if failed else "interrupted", "ended": now()}
            state |= {"error": str(error)} if failed else {}
            write_json(study.state(job), state)
            raise
        write_json(record, done)


def _begin(study: Study, job: Job) -> dict[str, Any]:
    """Write the state of a job that starts; a job that failed in the same run of the study is not repeated."""
    file, this = study.state(job), read_object(study.folder / JOBS)["run"]
    before: dict[str, Any] = read_object(file) if file.is_file() else {}
    if before.get("status") == "failed" and before.get("run") == this:
        raise UserError(f"{job.kind}/{job.name}: failed already: {before.get('error', '')}")
    state = {
        "status": "running",
        "run": this,
        "attempts": int(before.get("attempts", 0)) + 1,
        "first_started": before.get("first_started", now()),
        "seconds_before": _seconds_of(before),
        "started": now(),
        "host": os.uname().nodename,
        "process": os.getpid(),
    }
    write_json(file, state)
    return state


def _seconds_of(before: dict[str, Any]) -> float:
    """Seconds that earlier attempts took, as far as their ends are known."""
    earlier = float(before.get("seconds_before", 0.0))
    if "ended" not in before:
        return earlier
    begin, end = (datetime.fromisoformat(before[key]) for key in ("started", "ended"))
    return earlier + (end - begin).total_seconds()


def _do(study: Study, job: Job, state: dict[str, Any], lock: int) -> dict[str, Any]:
    """Do the work and return the content of the record."""
    begin, commands = time.monotonic(), commands_of(study, job)
    discard_damaged(study, job)
    if is_finished(study, job):  # killed between the end of the work and the record
        results: dict[str, Any] = {"note": "the work had ended before; only the record was missing"}
    else:
        results = {}
        with own_gpus(study, job) as (variables, gpus):
            for command in commands:
                _execute(study, job, command, variables, [lock, *gpus])
        if not commands:
            results = _inside(job.kind)(study)
        elif not is_finished(study, job):
            raise UserError(
                f"{job.kind}/{job.name}: ended without its results; log: {study.log(job)}"
            )
    if job.kind == "plan":
        results["described"] = described_plan(study.settings)
    return {
        "job": f"{job.kind}/{job.name}",
        "row": job.row,
        "seed": job.seed,
        "folds": list(job.folds),
        "commands": commands,
        "variables": study.environment(),
        "first_started": state["first_started"],
        "started": state["started"],
        "ended": now(),
        "attempts": state["attempts"],
        "seconds": round(time.monotonic() - begin, 1),
        "seconds_before": round(state["seconds_before"], 1),
        **origin(study, job),
        **results,
    }


def _inside(kind: str) -> Callable[[Study], dict[str, Any]]:
    """The function of a job that this process does itself."""
    if kind == "rows":
        from nnunet_plugins.study.row_plans import write_rows

        return write_rows
    from nnunet_plugins.study.results import write_results

    return write_results


def _execute(
    study: Study, job: Job, command: list[str], variables: dict[str, str], locks: list[int]
) -> None:
    """Run a command, appending its output to the job's log.

    Raises:
        UserError: it ended with another status than 0; the message has the end of the log.
    """
    run_logged(
        command, study.log(job), f"{job.kind}/{job.name}", folder=study.folder,
        environment={**study.environment(), **variables}, locks=locks,
    )  # fmt: skip
