"""Compare ids of patients however they are spelled, and join cases that share one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping

_RUNS = re.compile(r"\d+|[^\W\d_]+")  # digits, or letters


def spelling(text: str) -> str:
    """Return an id without letter case, leading zeros, blanks and separators; "" if nothing is left.

    Equal results mean the same id. The parts stay apart, so that 1-23 and 12-3 differ.

    >>> spelling("P 00123") == spelling("p_123"), spelling("1-23") == spelling("12-3")
    (True, False)
    """
    runs = _RUNS.findall(unicodedata.normalize("NFKC", text).casefold())
    return " ".join(run.lstrip("0") or "0" if run.isdigit() else run for run in runs)


def unbroken(text: str) -> str:
    """Return a number written with separators as one number, else `spelling`.

    >>> unbroken("12-04-56"), unbroken("0120456"), unbroken("P-7")
    ('120456', '120456', 'p 7')
    """
    runs = _RUNS.findall(unicodedata.normalize("NFKC", text).casefold())
    if runs and all(run.isdigit() for run in runs):
        return "".join(runs).lstrip("0") or "0"
    return spelling(text)


def joined(keys: Mapping[str, Collection[str]]) -> dict[str, str]:
    """Return a group for each case; cases that share a key, also through others, share the group.

    Args:
        keys: case -> keys of its patient.

    Returns:
        Case -> the smallest key of its group.

    >>> joined({"c1": ["a"], "c2": ["a", "b"], "c3": ["b"], "c4": ["z"]})
    {'c1': 'a', 'c2': 'a', 'c3': 'a', 'c4': 'z'}
    """
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for own in keys.values():
        roots = sorted({root(key) for key in own})
        for other in roots[1:]:
            parent[other] = roots[0]
    return {case: root(min(own)) for case, own in keys.items()}
