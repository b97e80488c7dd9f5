"""Process several cases in parallel."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from nnunet_plugins.errors import UserError
from nnunet_plugins.worker_lifetime import begin, ctrl_c_blocked

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(work: Callable[[Item], Result], items: Sequence[Item], jobs: int = 1) -> Iterator[Result]:
    """Yield ``work(item)`` for every item in order, computed by ``jobs`` processes.

    The processes end at once when the caller stops early, fails or is killed.

    Raises:
        UserError: the processes cannot start, one was killed, or ``jobs`` is less than 1.
    """
    if jobs < 1:
        raise UserError(f"{jobs} processes (-j, jobs): allowed are 1 and more")
    if jobs == 1 or len(items) < 2:
        yield from map(work, items)
        return
    # A fork would copy the locks of the caller's threads.
    context = multiprocessing.get_context("spawn")
    started = context.Event()
    theirs, ours = context.Pipe(duplex=False)
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        min(jobs, len(items)), mp_context=context, initializer=begin, initargs=(started, theirs)
    )
    complete = False
    try:
        with ctrl_c_blocked():
            results = pool.map(work, items)
        yield from results
        complete = True
    except BrokenProcessPool as error:
        if not started.is_set():  # each process imports the main script first
            raise UserError(
                f"{jobs} processes (jobs): the worker processes could not start, as each runs the script again; put "
                "the call under if __name__ == '__main__': in a file, or pass jobs=1"
            ) from error
        raise UserError(
            f"{jobs} processes (-j, jobs): one was killed, most likely because memory ran out; use 1"
        ) from error
    finally:
        pool.shutdown(wait=complete, cancel_futures=True)
        if not complete:
            for process in set(multiprocessing.active_children()) - others:
                process.kill()
        ours.close()
        theirs.close()
