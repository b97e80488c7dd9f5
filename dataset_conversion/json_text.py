"""JSON from files of unknown origin: deep nesting is an error like any other."""

from __future__ import annotations

import json
from typing import Any

#: Levels that are read; nnU-Net's plans have 6. Deeper values would exhaust Python's stack when they are shown.
MOST_LEVELS = 64


def parse_json(text: str, **options: Any) -> Any:
    """Return the value of JSON text.

    The options are those of `json.loads`.

    Raises:
        ValueError: not JSON, nested too deeply, or with half of a surrogate pair.

    >>> parse_json('{"labels": {"background": 0}}')
    {'labels': {'background': 0}}
    >>> parse_json("[" * 100 + "]" * 100)
    Traceback (most recent call last):
    ValueError: nested more than 64 levels deep
    """
    deep = f"nested more than {MOST_LEVELS} levels deep"
    try:
        value = json.loads(text, **options)
    except RecursionError as error:
        raise ValueError(deep) from error
    if _too_deep(value):
        raise ValueError(deep)
    if "\\ud" in text.lower():
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError("half of a surrogate pair, which is not a character") from error
    return value


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MOST_LEVELS + 1):
        level = [part for one in level for part in _parts(one)]
        if not level:
            return False
    return True


def _parts(value: Any) -> list[Any]:
    """Return the objects and lists directly inside of a value."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [part for part in inside if isinstance(part, dict | list)]
