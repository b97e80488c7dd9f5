"""A GPU for each job where several jobs share one machine; on a cluster, the scheduler assigns them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from nnunet_plugins.errors import UserError
from nnunet_plugins.study.folder import Study
from nnunet_plugins.study.jobs import ON_DEVICE, Job
from nnunet_plugins.study.locks import alone

VARIABLE = "CUDA_VISIBLE_DEVICES"
#: Set by schedulers that assign GPUs themselves.
_SCHEDULERS = ("SLURM_JOB_ID", "LSB_JOBID", "PBS_JOBID")


@contextmanager
def own_gpus(study: Study, job: Job) -> Iterator[tuple[dict[str, str], list[int]]]:
    """Yield variables and lock descriptors for the processes of a job; both are empty if it takes what there is.

    GPUs are those that no other job of the study uses. With more jobs than GPUs, jobs share the last ones.
    """
    asked = study.settings.resources
    with ExitStack() as stack:
        there = visible(os.environ) if job.kind in ON_DEVICE and asked.device == "cuda" else []
        if len(there) <= max(1, asked.gpus) or any(name in os.environ for name in _SCHEDULERS):
            yield {}, []
            return
        taken: dict[str, int] = {}
        folder = study.folder / "state" / "gpus"
        for gpu in there:
            if len(taken) == max(1, asked.gpus):
                break
            lock = folder / f"{os.uname().nodename}_{gpu.replace('/', '_')}.lock"
            try:
                taken[gpu] = stack.enter_context(alone(lock, f"GPU {gpu}", 0.0))
            except UserError:  # of another job
                continue
        chosen = [*taken, *(gpu for gpu in reversed(there) if gpu not in taken)]
        yield {VARIABLE: ",".join(chosen[: max(1, asked.gpus)])}, [*taken.values()]


def visible(environ: Mapping[str, str]) -> list[str]:
    """Names of the GPUs that this process may use, as CUDA takes them.

    >>> visible({"CUDA_VISIBLE_DEVICES": "2,3"})
    ['2', '3']
    """
    if VARIABLE in environ:
        return [name.strip() for name in environ[VARIABLE].split(",") if name.strip()]
    return [str(number) for number in range(len(described()))]


def described(query: Sequence[str] = ("name", "driver_version", "memory.total")) -> list[str]:
    """What nvidia-smi says of each GPU; [] without it."""
    command = ["nvidia-smi", f"--query-gpu={','.join(query)}", "--format=csv,noheader"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in found.stdout.splitlines() if line.strip()]
