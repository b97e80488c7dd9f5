"""Tests of single values of the ``training`` entry; each returns whether a value is allowed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[Any], bool]


def integer(least: int) -> Check:
    """An integer of ``least`` or more; a boolean is not one."""
    return lambda v: isinstance(v, int) and not isinstance(v, bool) and v >= least


def number(least: float, most: float = sys.float_info.max, *, above: bool = False) -> Check:
    """A finite number from ``least``, or with ``above`` any larger than it, to ``most``."""

    def check(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return (least < value if above else least <= value) and value <= most

    return check


#: A weight of a loss; sums of larger ones would not be finite in every precision.
weight = number(0, 1e6)


def one_of(*names: str) -> Check:
    """One of ``names``."""
    return lambda v: v in names


def boolean(value: Any) -> bool:
    """True or false."""
    return isinstance(value, bool)


def axes(value: Any) -> bool:
    """A list of axes of a patch, each once."""
    valid = isinstance(value, (list, tuple)) and all(integer(0)(v) and v <= 2 for v in value)
    return valid and len(set(value)) == len(value)


def limits(least: float, *, above: bool = False) -> Check:
    """A list of two numbers, the second not below the first.

    >>> limits(0)([0, 0.01]), limits(0)([0.01, 0]), limits(0, above=True)([0, 1])
    (True, False, False)
    """

    def check(value: Any) -> bool:
        if not isinstance(value, (list, tuple)) or len(value) != 2:
            return False
        return all(number(least, above=above)(v) for v in value) and value[0] <= value[1]

    return check


def fields(required: Mapping[str, Check], optional: Mapping[str, Check]) -> Check:
    """An object with all ``required`` keys and some of the ``optional`` ones, each with a value that its test allows.

    >>> stops = fields({"patience": integer(1)}, {"min_epochs": integer(1)})
    >>> stops({"patience": 50, "min_epochs": 200}), stops({"min_epochs": 200}), stops({"patience": 0})
    (True, False, False)
    """
    known = {**required, **optional}

    def check(value: Any) -> bool:
        return (
            isinstance(value, Mapping)
            and set(required) <= set(value) <= set(known)
            and all(known[key](one) for key, one in value.items())
        )

    return check
