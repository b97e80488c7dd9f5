"""What is wrong with this machine, and what to do about it.

Each check is a function of the environment that returns findings. What may crash when imported
(torch, torchvision, nnU-Net's trainers) is imported in another process.
"""

import os
from collections.abc import Callable

from nnunet_plugins.doctor.finding import Environ, Finding, report
from nnunet_plugins.doctor.folders import check_dataset_ids, check_folders
from nnunet_plugins.doctor.packages import check_name_clash, check_nnunet_version
from nnunet_plugins.doctor.torch_stack import check_torch
from nnunet_plugins.doctor.trainer_lookup import check_trainers
from nnunet_plugins.doctor.workers import check_workers

__all__ = ["CHECKS", "Finding", "examine", "report"]

CHECKS: tuple[Callable[[Environ], list[Finding]], ...] = (
    check_folders,
    check_dataset_ids,
    check_nnunet_version,
    check_name_clash,
    check_torch,
    check_trainers,
    check_workers,
)


def examine(environ: Environ | None = None) -> list[Finding]:
    """Run every check; takes some 20 s, as nnU-Net imports all its trainers to find one.

    A check that fails itself is a finding, never an exception.
    """
    environ = os.environ if environ is None else environ
    findings: list[Finding] = []
    for check in CHECKS:
        try:
            findings += check(environ)
        except Exception as error:  # a doctor that dies of the illness helps nobody
            subject = check.__name__.removeprefix("check_").replace("_", " ")
            detail = f"could not be examined: {type(error).__name__}: {error}"
            findings.append(Finding("broken", subject, detail, "please report this as a bug"))
    return findings
