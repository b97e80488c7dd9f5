"""Snakemake runs the jobs: here, or on a cluster through one of its executor plugins."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

from nnunet_plugins.atomic_files import write_json
from nnunet_plugins.errors import UserError
from nnunet_plugins.plans_file import read_object
from nnunet_plugins.study.folder import JOBS, Study
from nnunet_plugins.study.jobs import PLANNED, as_json, jobs_of
from nnunet_plugins.study.locks import alone
from nnunet_plugins.study.planned import check_planned, described_rows
from nnunet_plugins.study.rows import row_of

#: Kinds of jobs before the trainings.
FIRST = ("convert", "plan", "rows")
SNAKEFILE = Path(__file__).with_name("Snakefile")
#: Does one job: kind and name follow.
JOB_COMMAND = (sys.executable, "-m", "nnunet_plugins", "study", "job", ".")
IN_CONTAINER = ("nnunet-plugins", "study", "job", ".")
INSTALL = (
    "pip install 'nnunet-plugins[study]', or in an environment of its own: python -m venv ENV; "
    "ENV/bin/pip install 'snakemake>=9,<10'; export PATH=$PATH:ENV/bin"
)


def find_snakemake() -> str:
    """Path of snakemake: next to this Python, or on PATH.

    Raises:
        UserError: it is not installed.
    """
    beside = Path(sys.executable).with_name("snakemake")
    found = str(beside) if beside.is_file() else shutil.which("snakemake")
    if not found:
        raise UserError(
            f"study run needs snakemake 9, which is neither next to Python nor on PATH: {INSTALL}"
        )
    return found


def run_study(
    study: Study,
    *,
    executor: str = "local",
    jobs: int = 1,
    until: str | None = None,
    more: Sequence[str] = (),
) -> int:
    """Run the jobs that are left; return Snakemake's exit status.

    Args:
        study: the study.
        executor: ``local``, or the name of an installed executor plugin of Snakemake, e.g. ``slurm``.
        jobs: number of jobs at a time.
        until: kind of the last jobs, e.g. ``plan``.
        more: further arguments of snakemake.

    Raises:
        UserError: snakemake is not installed, another run is in progress, or a row or kind is unknown.
    """
    check_run(study, jobs, until)
    snakemake = find_snakemake()
    file = study.folder / "state" / "run.lock"
    before = file.read_text(encoding="utf-8") if file.is_file() else ""
    with alone(file, f"study run {study.folder}") as lock:
        _prepare(study, local=executor == "local")
        _unlock(study, snakemake, lock, before)
        arguments = [*_arguments(study, executor, jobs), *more]
        if until not in FIRST and not (study.folder / PLANNED).is_file():
            status = _run([snakemake, PLANNED, *arguments], study, lock)
            if status:
                return status
        last = ["--until", until] if until else []
        return _run([snakemake, *last, *arguments], study, lock)


def check_run(study: Study, jobs: int, until: str | None) -> None:
    """Raise UserError if a row, the kind ``until`` or the number of jobs at a time is not possible."""
    kinds = list(dict.fromkeys(job.kind for job in jobs_of(study.settings)))
    if until is not None and until not in kinds:
        raise UserError(f"--until {until}: allowed: {', '.join(kinds)}")
    if jobs < 1:
        raise UserError(f"--jobs {jobs}: expected 1 or more")
    for name in study.settings.row_names:
        row_of(study.settings, name)


def _prepare(study: Study, *, local: bool) -> None:
    """Write jobs.json, and drop the record of the rows if study.yaml describes others now.

    Raises:
        UserError: study.yaml asks for other data or another plan than those that were made.
    """
    check_planned(study)
    rows = study.folder / PLANNED
    if rows.is_file() and read_object(rows)["described"] != described_rows(study.settings):
        rows.unlink()
    asked = study.settings.resources
    content = {
        "run": uuid.uuid4().hex[:12],
        "command": shlex.join(IN_CONTAINER if asked.container else JOB_COMMAND),
        "container": asked.container,
        "raw": str(study.raw_root.absolute()),
        "cpus": asked.cpus,
        "resubmissions": 0 if local else asked.resubmissions,
        "jobs": as_json(jobs_of(study.settings), study.settings),
    }
    write_json(study.folder / JOBS, content)


def _arguments(study: Study, executor: str, jobs: int) -> list[str]:
    arguments = [
        "--snakefile", str(SNAKEFILE), "--directory", str(study.folder),
        # The default triggers train everything again after an update of this package.
        "--rerun-triggers", "mtime", "input",
        # Records are complete whenever they exist.
        "--ignore-incomplete", "--keep-incomplete", "--keep-going",
        "--quiet", "host", "rules", "reason",
    ]  # fmt: skip
    if study.settings.resources.container:
        data = f"--bind {study.raw_root.absolute()} --bind {study.folder}"
        gpu = "--nv " if study.settings.resources.device == "cuda" else ""
        arguments += ["--software-deployment-method", "apptainer", "--apptainer-args", gpu + data]
    if executor == "local":
        gpus = max(1, study.settings.resources.gpus)
        cores = str(jobs * study.settings.resources.cpus)
        return [*arguments, "--cores", cores, "--resources", f"gpu={jobs * gpus}"]
    return [*arguments, "--executor", executor, "--jobs", str(jobs), "--latency-wait", "60"]


def _unlock(study: Study, snakemake: str, lock: int, before: str) -> None:
    """Remove the lock that a killed Snakemake has left; ours shows that none is running on this machine.

    Args:
        study: the study.
        snakemake: the program.
        lock: descriptor of our lock.
        before: who held our lock last.

    Raises:
        UserError: it was left by another machine, whose processes cannot be seen from here.
    """
    locks = study.folder / ".snakemake" / "locks"
    if not any(locks.glob("*")):
        return
    if before and not before.startswith(f"{os.uname().nodename},"):
        raise UserError(
            f"{study.folder}: a run on another machine ({before}) has not ended, or was killed. If nothing "
            f"runs there any more, remove the files in {locks} and run again"
        )
    arguments = ["--snakefile", str(SNAKEFILE), "--directory", str(study.folder), "--unlock"]
    subprocess.run(
        [snakemake, *arguments], pass_fds=(lock,), capture_output=True, check=False,
        env=_environment(study),
    )  # fmt: skip


def _run(command: list[str], study: Study, lock: int) -> int:
    with subprocess.Popen(command, env=_environment(study), pass_fds=(lock,)) as process:
        try:
            return process.wait()
        except BaseException:
            process.terminate()  # leaving the block waits for it
            raise


def _environment(study: Study) -> dict[str, str]:
    return {**os.environ, "nnUNet_raw": str(study.raw_root.absolute())}
