"""Documents with one entry changed, and the promise of our commands on them: a result or one clear message."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

from nnunet_plugins.cli import main

#: Values that a program or a person may leave in a JSON file.
VALUES: list[Any] = [
    None, True, -1, 0, 1, 2, 8e9, 10**30, -(10**30), 1e308, 0.5, float("nan"), float("inf"), "", "x", "<b>",
    "../..", "1" * 50, "\ud800", "\x00", [], [1], [[]], [None], {}, {"a": 1}, [10**9] * 3, [[1, 2, 3]] * 3,
]  # fmt: skip
LONG = {f"label {number}": number for number in range(60_000)}


def nested(levels: int) -> Any:
    """A list in a list, so many times."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def paths(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every entry; of long lists the first four."""
    if here:
        yield here
    inside: Sequence[Any] = ()
    if isinstance(value, dict):
        inside = list(value.items())
    elif isinstance(value, list):
        inside = list(enumerate(value[:4]))
    for key, part in inside:
        yield from paths(part, (*here, key))


def changed(document: Any, path: tuple[Any, ...], change: str, value: Any) -> Any:
    """The document with one entry removed, renamed or replaced."""
    copy = deepcopy(document)
    parent = copy
    for key in path[:-1]:
        parent = parent[key]
    if change == "replace" or isinstance(parent, list):
        parent[path[-1]] = value
    else:
        entry = parent.pop(path[-1])
        if change == "rename":
            parent[str(value)[:100]] = entry
    return copy


def mutations(document: Any) -> st.SearchStrategy[str]:
    """Text of documents with one or two entries changed, and of damaged files."""
    places = list(paths(document))
    values = st.one_of(st.sampled_from(VALUES), st.integers(), st.text(max_size=5))
    change = st.tuples(
        st.sampled_from(places), st.sampled_from(["replace", "remove", "rename"]), values
    )

    def apply(changes: list[tuple[Any, str, Any]]) -> str:
        found = document
        for path, how, value in changes:
            with contextlib.suppress(KeyError, IndexError, TypeError):  # removed by the first
                found = changed(found, path, how, value)
        return json.dumps(found)

    whole = json.dumps(document)
    damaged = st.one_of(
        st.integers(0, len(whole)).map(lambda end: whole[:end]),
        st.sampled_from(VALUES).map(json.dumps),
    )
    return st.one_of(st.lists(change, min_size=1, max_size=2).map(apply), damaged)


def hostile(document: Any) -> Iterator[tuple[str, str]]:
    """Names and texts of documents that exhaust a reader: deep, long, huge."""
    yield "100,000 levels", "[" * 100_000 + "]" * 100_000
    yield "an object in an object", '{"a":' * 50_000 + "1" + "}" * 50_000
    yield "5,000 digits", '{"a": ' + "9" * 5_000 + "}"
    for path in list(paths(document)):
        if len(path) <= 2 and not isinstance(path[-1], int):
            name = ".".join(map(str, path))
            yield f"{name}: 60 levels", json.dumps(changed(document, path, "replace", nested(58)))
            yield f"{name}: 900 levels", json.dumps(changed(document, path, "replace", nested(900)))
            yield f"{name}: 60,000 entries", json.dumps(changed(document, path, "replace", LONG))


def run(*arguments: Any) -> tuple[int, str]:
    """Run a command; return its status and messages. An exception that is not a user's mistake is raised."""
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        status = main([str(argument) for argument in arguments])
    return status, errors.getvalue()


def confirm_clear(status: int, said: str) -> None:
    """Raise AssertionError unless the command gave a result, or one message of reasonable length."""
    assert status in (0, 1, 2), said
    if status == 2:
        assert said.startswith(("nnunet-plugins ", "note ")), said[:500]
        assert len(said) < 4000, said[:500]
