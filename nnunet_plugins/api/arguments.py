"""Types and values that the functions share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

StrPath = str | os.PathLike[str]
Progress = Callable[[Any], Iterable[Any]]


def several(values: Any) -> list[Any]:
    """The values as a list; a single text, number or path is one value, not a sequence of characters."""
    return [values] if isinstance(values, str | int | os.PathLike) else list(values)
