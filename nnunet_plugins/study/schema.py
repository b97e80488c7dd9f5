"""Values of study.yaml into dataclasses; whatever is not understood is an error with its name."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from architectures.suggestions import nearest_first
from dataset_conversion.errors import short
from nnunet_plugins.errors import UserError

_Entry = TypeVar("_Entry")
_NAMES = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}


def read_entry(kind: type[_Entry], content: Any, where: str) -> _Entry:
    """Return the dataclass ``kind`` with the values of a mapping.

    Fields are the allowed keys; their types are checked: bool, int, float, str, other such dataclasses, tuples and
    dictionaries of these, and unions.

    Args:
        kind: a dataclass.
        content: as the YAML file holds it.
        where: names the entry in messages; '' for the whole file.

    Raises:
        UserError: an unknown or missing key, or a value of another type.

    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Budget:
    ...     epochs: int = 1000
    >>> read_entry(Budget, {"epochs": 50}, "budget")
    Budget(epochs=50)
    >>> read_entry(Budget, {"epoch": 50}, "budget")
    Traceback (most recent call last):
    nnunet_plugins.errors.UserError: budget: unknown key 'epoch'; nearest: 'epochs'; known: epochs
    """
    if not isinstance(content, Mapping):
        raise UserError(
            f"{where or 'the file'}: is {short(content)}; expected keys {', '.join(_keys(kind))}"
        )
    known, at = _keys(kind), f"{where}: " if where else ""
    for key in content:
        if key not in known:
            nearest = nearest_first(str(key), known)[0]
            raise UserError(
                f"{at}unknown key {key!r}; nearest: {nearest!r}; known: {', '.join(known)}"
            )
    types_of = get_type_hints(kind)
    values = {
        key: _value(types_of[key], value, f"{where}.{key}" if where else key)
        for key, value in content.items()
    }
    missing = [name for name, field in known.items() if name not in values and _is_required(field)]
    if missing:
        raise UserError(f"{at}{missing[0]!r} is missing")
    return kind(**values)


def _keys(kind: Any) -> dict[str, Field[Any]]:
    return {field.name: field for field in fields(kind)}


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _value(kind: Any, value: Any, where: str) -> Any:
    """``value`` if it is of ``kind``; lists become tuples."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if is_dataclass(kind):
        return read_entry(kind, value, where)  # type: ignore[arg-type]
    if origin in (Union, types.UnionType):
        return _one_of(inner, value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise UserError(f"{where}: is {short(value)}; expected a list, e.g. [0, 1]")
        return tuple(_value(inner[0], one, f"{where}[{i}]") for i, one in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise UserError(f"{where}: is {short(value)}; expected keys with values")
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        raise UserError(f"{where}: is {short(value)}; expected {_NAMES.get(kind, kind)}")
    return value


def _one_of(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    entries = [kind for kind in kinds if is_dataclass(kind)]
    if entries and isinstance(value, dict):
        return _value(entries[0], value, where)
    plain = [kind for kind in kinds if not is_dataclass(kind) and kind is not type(None)]
    for kind in plain:
        try:
            return _value(kind, value, where)
        except UserError:
            if len(plain) == 1:
                raise
    expected = " or ".join(_NAMES.get(kind, str(kind)) for kind in plain)
    raise UserError(f"{where}: is {short(value)}; expected {expected}")
