"""Plans files, which come from outside: read, and refused by name where they are not as nnU-Net writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnunet_plugins.errors import UserError

#: What nnU-Net's and torch's code raises on plans with wrong contents that were not foreseen here.
MALFORMED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        UserError: there is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: an object is wanted, as nnU-Net writes it")
    return content


def check_plans(content: Any, where: object) -> dict[str, Any]:
    """``content``, if every configuration of it says what nnU-Net's must.

    Raises:
        UserError: it is something else; begins with ``where``.
    """
    entries = content.get("configurations") if isinstance(content, dict) else None
    if not isinstance(entries, dict) or not entries or "plans_name" not in content:
        raise UserError(
            f"{where}: no plans of nnU-Net: 'configurations' or 'plans_name' is missing"
        )
    for name, entry in entries.items():
        who = f"{where}: configuration {name!r}"
        if not isinstance(entry, dict):
            raise UserError(f"{who} is {entry!r}; an object is wanted, as nnU-Net writes it")
        found = resolve(content, name)
        if not found:
            raise UserError(f"{who}: what it inherits from is not there, or inherits from it")
        _check(found, who)
    return dict(content)


def _check(found: Mapping[str, Any], who: str) -> None:
    patch, batch = found.get("patch_size"), found.get("batch_size")
    if not isinstance(patch, list) or len(patch) not in (2, 3) or not all(map(_counts, patch)):
        raise UserError(
            f"{who}: patch_size is {patch!r}; 2 or 3 whole numbers of 1 or more are wanted"
        )
    if not _counts(batch):
        raise UserError(f"{who}: batch_size is {batch!r}; a whole number of 1 or more is wanted")
    for part in (found, found.get("architecture")):
        for key, kind in _KINDS.items():
            if isinstance(part, dict) and key in part and not isinstance(part[key], kind):
                wanted = "an object" if kind is dict else "a text"
                raise UserError(f"{who}: {key} is {part[key]!r}; {wanted} is wanted")


#: Entries of a configuration or of its architecture, if they are there.
_KINDS = {"training": dict, "architecture": dict, "network_class_name": str, "arch_kwargs": dict}


def _counts(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def resolve(plans: Mapping[str, Any], configuration: str) -> dict[str, Any]:
    """A configuration with what it inherits; ``{}`` where a part of it is not there."""
    found: dict[str, Any] = {}
    wanted: str | None = configuration
    passed: set[str] = set()
    while wanted and wanted not in passed:
        passed.add(wanted)
        entry = plans.get("configurations", {}).get(wanted)
        if not isinstance(entry, dict):
            return {}
        found = {**entry, **found}
        wanted = entry.get("inherits_from")
    return {} if wanted in passed else found
