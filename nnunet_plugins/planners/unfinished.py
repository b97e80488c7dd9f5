"""A file that exists while plans are made, so that the next run and the trainers know of an interrupted one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from dataset_conversion.raw_format.preprocessed import recorded_source
from nnunet_plugins.errors import UserError
from nnunet_plugins.plans_file import unfinished_mark


@dataclass
class PlanRun:
    """A run that makes plans.

    Attributes:
        earlier: whether an earlier run of the same plans was interrupted.
        preprocessing: whether preprocessing has begun, after which a failure leaves incomplete data.
    """

    earlier: bool
    preprocessing: bool = False


def is_unfinished(plans: Path) -> bool:
    """Return whether plans are being made, or were being made when a run was interrupted."""
    return unfinished_mark(plans).exists()


def was_interrupted(plans: Path) -> bool:
    """Return whether plans are unfinished and no run is making them."""
    mark = unfinished_mark(plans)
    if not mark.exists():
        return False
    try:
        with suppress(NotImplementedError), FileLock(mark, timeout=0):
            pass
    except Timeout:
        return False
    mark.touch()  # some versions of the lock remove the file
    return True


@contextmanager
def alone(plans: Path) -> Iterator[PlanRun]:
    """Mark plans as unfinished until the block ends, and prevent a second run on this machine.

    The mark stays where preprocessing failed or the process was killed.

    Args:
        plans: the plans file.

    Raises:
        UserError: another run is making these plans.
    """
    mark = unfinished_mark(plans)
    mark.parent.mkdir(parents=True, exist_ok=True)
    run = PlanRun(earlier=mark.exists())
    lock = FileLock(mark)
    try:
        with suppress(NotImplementedError):  # a disk without locks
            lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(
            f"{plans.stem}: another run of plan is making these plans of {plans.parent.name}; wait until it has "
            "finished, or choose another name with -p"
        ) from error
    mark.touch()  # some versions of the lock remove the file
    finished = False
    try:
        yield run
        finished = True
    finally:
        lock.release()
        if finished or not (run.earlier or run.preprocessing):
            mark.unlink(missing_ok=True)
            with suppress(OSError):  # only an empty folder is removed
                mark.parent.rmdir()
        else:
            mark.touch()


def remove_leftovers(plans: Path, configurations: Sequence[str]) -> None:
    """Remove what an interrupted run left incomplete, which the next run would otherwise keep.

    Args:
        plans: the plans file.
        configurations: names that the run may have preprocessed.
    """
    for configuration in configurations:
        data = plans.with_name(f"{plans.stem}_{configuration}")
        if data.is_dir() and recorded_source(data) is None:
            shutil.rmtree(data)
