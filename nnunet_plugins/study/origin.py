"""Where and with what a job ran: host, versions, hardware."""

from __future__ import annotations

import os
import platform
import resource
from typing import Any

from nnunet_plugins import __version__
from nnunet_plugins.optional_imports import installed_version
from nnunet_plugins.study.folder import Study
from nnunet_plugins.study.gpus import described
from nnunet_plugins.study.jobs import Job

PACKAGES = ("nnunetv2", "torch", "dynamic-network-architectures", "batchgeneratorsv2", "numpy")


def origin(study: Study, job: Job) -> dict[str, Any]:
    """What a reader must know to repeat a job."""
    found: dict[str, Any] = {
        "host": os.uname().nodename,
        "platform": platform.platform(),
        "processor": _processor(),
        "device": study.settings.resources.device,
        "python": platform.python_version(),
        "versions": {"nnunet-plugins": __version__}
        | {name: its for name in PACKAGES if (its := installed_version(name))},
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6, 2),
    }
    if "SLURM_JOB_ID" in os.environ:
        found["slurm_job"] = os.environ["SLURM_JOB_ID"]
    if study.settings.resources.device == "cuda":
        found["gpus"] = described()
    row = study.rows().get(job.run)
    return found | ({"configuration": row["configuration"], "digest": row["digest"]} if row else {})


def _processor() -> str:
    """Name and number of the CPUs."""
    name = platform.processor()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            names = [line.partition(":")[2].strip() for line in stream if "model name" in line]
        name = names[0] if names else name
    except OSError:
        pass
    return f"{os.cpu_count()} x {name}" if name else f"{os.cpu_count()}"
