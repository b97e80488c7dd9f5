"""Look at every source before anything is converted; go on after a bad one and tell of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from dataset_conversion.datasets.options import Common
from dataset_conversion.errors import DatasetError, together
from dataset_conversion.parallel import Progress, each

Item = TypeVar("Item")
Result = TypeVar("Result")


def scan(items: Sequence[Item], look: Callable[[Item], Result], options: Common,
         progress: Progress | None = None) -> tuple[list[Result], list[str]]:  # fmt: skip
    """Return what `look` found, in the items' order, and why it refused the others.

    Args:
        items: folders, files, rows.
        look: reads headers and hashes files; raises DatasetError.
        options: how many at a time.
        progress: wraps the items, e.g. tqdm.

    Raises:
        DatasetError: all problems, unless the user keeps going (or only rehearses) and something
            is left to go on with.
    """
    places = list(range(len(items)))
    results: dict[int, Result] = {}
    problems: dict[int, str] = {}
    for place, result in each(lambda i: look(items[i]), places, options.jobs, progress):
        if isinstance(result, DatasetError):
            problems[place] = str(result)
        else:
            results[place] = result
    told = [problems[i] for i in sorted(problems)]
    if told and not (results and (options.keep_going or options.dry_run)):
        raise together(told)
    return [results[i] for i in sorted(results)], told
