"""Scan every source before anything is converted, and report all problems together."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass
from typing import TypeVar

from dataset_conversion.cases.case import Case
from dataset_conversion.datasets.options import Common
from dataset_conversion.errors import together
from dataset_conversion.labels import Labels
from dataset_conversion.parallel import Progress, gather

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Collected:
    """Result of a scan: cases, labels, and messages for the summary."""

    cases: list[Case]
    labels: Labels
    notes: list[str]
    problems: list[str]


def scan(items: Sequence[Item], look: Callable[[Item], Result], options: Common,
         progress: Progress | None = None,
         before: Sequence[str] = ()) -> tuple[list[Result], list[str]]:  # fmt: skip
    """Return the results of `look`, in the items' order, and the messages of its errors.

    `look` reads headers and hashes files; `before` are problems found before, which come first.
    """
    done, errors = gather(look, items, options.jobs, progress)
    problems, results = [*before, *errors], [result for _, result in done]
    stop_at(problems, results, options)
    return results, problems


def stop_at(problems: Sequence[str], remaining: Sized, options: Common) -> None:
    """Raise all problems as one DatasetError.

    With --keep-going or --dry-run and something left to convert, the problems are only reported.
    """
    if problems and not (len(remaining) and (options.keep_going or options.dry_run)):
        raise together(problems)
