"""Checks of the machine: what is wrong, and how to fix it.

Each check is a function of the environment variables that returns findings. Packages that may crash
on import (torch, torchvision, nnU-Net's trainers) are imported in another process.
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
    """Run every check in about 20 s; most of it is nnU-Net, which imports all its trainers to find one.

    A check that raises an exception is a finding itself.
    """
    environ = os.environ if environ is None else environ
    findings: list[Finding] = []
    for check in CHECKS:
        try:
            findings += check(environ)
        except Exception as error:
            subject = check.__name__.removeprefix("check_").replace("_", " ")
            detail = f"cannot be checked: {type(error).__name__}: {error}"
            findings.append(Finding("broken", subject, detail, "please report this as a bug"))
    return findings
