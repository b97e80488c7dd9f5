"""Options of a run, and processing of cases in threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, TypeVar

from dataset_conversion.errors import NO_MEMORY, DatasetError, DiskError

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[Iterable[Any]], Iterable[Any]]


@dataclass(frozen=True)
class Run:
    """How a conversion runs.

    Attributes:
        jobs: cases at a time, each in a thread: reading, hashing and compression release the GIL.
            Each takes about six times the memory of a case's volume.
        keep_going: leave bad cases out instead of stopping.
        dry_run: read and check everything, write nothing.
        overwrite: replace or remove cases of an earlier run that cannot be made again; keep a copy.
    """

    jobs: int = 1
    keep_going: bool = False
    dry_run: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        """Check the number of workers."""
        most = 4 * (os.cpu_count() or 1) + 4
        if not 1 <= self.jobs <= most:
            raise DatasetError(f"-j {self.jobs}: allowed are 1 to {most} cases at a time")


def each(work: Callable[[Item], Result], items: Sequence[Item], jobs: int = 1,
         progress: Progress | None = None) -> Iterator[tuple[Item, Result | DatasetError]]:  # fmt: skip
    """Process every item, `jobs` at a time; yield each item with its result or error.

    At most `jobs` items are in progress, which bounds memory. A DiskError, or any error that is
    not a DatasetError, is raised as soon as the items in progress have ended.

    `work` may raise DatasetError; `progress` wraps the items, e.g. tqdm.
    """
    taken = progress(items) if progress and items else items
    if jobs == 1:
        for item in taken:
            yield item, _done(work, item)
        return
    with ThreadPoolExecutor(jobs) as pool:
        under_way: dict[Future[Result | DatasetError], Item] = {}
        for item in taken:
            if len(under_way) == jobs:
                yield from _ended(under_way)
            under_way[pool.submit(_done, work, item)] = item
        while under_way:
            yield from _ended(under_way)


def gather(work: Callable[[Item], Result], items: Sequence[Item], jobs: int = 1,
           progress: Progress | None = None) -> tuple[list[tuple[Item, Result]], list[str]]:  # fmt: skip
    """Process every item as `each` does; return items with results, and messages of errors, in the items' order."""
    found = {id(item): result for item, result in each(work, items, jobs, progress)}
    done: list[tuple[Item, Result]] = []
    problems: list[str] = []
    for item in items:
        result = found[id(item)]
        if isinstance(result, DatasetError):
            problems.append(str(result))
        else:
            done.append((item, result))
    return done, problems


def _done(work: Callable[[Item], Result], item: Item) -> Result | DatasetError:
    try:
        return work(item)
    except DiskError:
        raise
    except DatasetError as error:
        return error
    except MemoryError:
        return DatasetError(f"{getattr(item, 'where', item)}: {NO_MEMORY}")


def _ended(under_way: dict[Future[Any], Item]) -> Iterator[tuple[Item, Any]]:
    finished, _ = wait(under_way, return_when=FIRST_COMPLETED)
    for future in finished:
        yield under_way.pop(future), future.result()
