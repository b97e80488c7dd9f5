"""nnU-Net's plans files: names, reading, and a check that reports what differs from nnU-Net's format."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dataset_conversion.errors import short
from dataset_conversion.json_text import parse_json
from nnunet_plugins.errors import UserError

#: What nnU-Net and torch raise on invalid plans that the check below does not foresee.
MALFORMED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)

#: JSON files that nnU-Net keeps next to the plans of a dataset.
NOT_PLANS = ("dataset", "dataset_fingerprint", "splits_final")

#: Optional entries of a configuration or of its architecture.
_TYPES = {"training": dict, "architecture": dict, "network_class_name": str, "arch_kwargs": dict}


def check_plans_name(name: str) -> None:
    """Raise UserError if nnU-Net could not find plans called ``name``.

    >>> check_plans_name("MAGUNetPlans")
    >>> check_plans_name("my__plans")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    nnunet_plugins.errors.UserError: plans name 'my__plans': ...
    """
    if name in NOT_PLANS:
        raise UserError(f"plans name {name!r}: nnU-Net keeps a file of that name; choose another")
    if "__" in name or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise UserError(
            f"plans name {name!r}: letters, digits, '.', '-' and single '_' only (nnU-Net splits at '__')"
        )


def unfinished_mark(plans: Path) -> Path:
    """Return the file that exists while `plan` makes plans, and after it was interrupted.

    >>> unfinished_mark(Path("Dataset660_SacroiliacCT/MAGUNetPlans.json")).name
    '.MAGUNetPlans.unfinished'
    """
    return plans.with_name(f".{plans.stem}.unfinished")


def read_object(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises:
        UserError: the file cannot be read or holds something else.
    """
    content = read_any(path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected an object, as nnU-Net writes it")
    return content


def read_any(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error})") from error


def check_plans(content: Any, where: object) -> dict[str, Any]:
    """Return ``content`` if each of its configurations has what nnU-Net requires.

    >>> plans = {"plans_name": "P", "configurations": {"2d": {"patch_size": [64]}}}
    >>> check_plans(plans, "P.json")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    nnunet_plugins.errors.UserError: P.json: configuration '2d': patch_size is [64]; ...

    Raises:
        UserError: a required entry is missing or invalid; the message begins with ``where``.
    """
    entries = content.get("configurations") if isinstance(content, dict) else None
    if not isinstance(entries, dict) or not entries or "plans_name" not in content:
        raise UserError(f"{where}: not nnU-Net plans: 'configurations' or 'plans_name' is missing")
    for key in ("plans_name", "dataset_name"):
        if not isinstance(content.get(key, ""), str):
            raise UserError(f"{where}: {key} is {short(content[key])}; expected a string")
    for name, entry in entries.items():
        who = f"{where}: configuration {name!r}"
        if not isinstance(entry, dict):
            raise UserError(f"{who} is {short(entry)}; expected an object, as nnU-Net writes it")
        found = resolve(content, name)
        if not found:
            raise UserError(f"{who}: its parent (inherits_from) is missing or inherits from it")
        _check(found, who)
    return dict(content)


def _check(found: Mapping[str, Any], who: str) -> None:
    patch, batch = found.get("patch_size"), found.get("batch_size")
    if not isinstance(patch, list) or len(patch) not in (2, 3) or not all(map(_is_count, patch)):
        raise UserError(
            f"{who}: patch_size is {short(patch)}; expected 2 or 3 integers of 1 or more"
        )
    if not _is_count(batch):
        raise UserError(f"{who}: batch_size is {short(batch)}; expected an integer of 1 or more")
    for part in (found, found.get("architecture")):
        for key, kind in _TYPES.items():
            if isinstance(part, dict) and key in part and not isinstance(part[key], kind):
                expected = "an object" if kind is dict else "a string"
                raise UserError(f"{who}: {key} is {short(part[key])}; expected {expected}")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def resolve(plans: Mapping[str, Any], configuration: str) -> dict[str, Any]:
    """Return a configuration with what it inherits; ``{}`` if a parent is missing or circular.

    >>> plans = {"configurations": {"a": {"batch_size": 2}, "b": {"inherits_from": "a"}}}
    >>> resolve(plans, "b")["batch_size"]
    2
    """
    found: dict[str, Any] = {}
    name: str | None = configuration
    seen: set[str] = set()
    while name and name not in seen:
        seen.add(name)
        entry = plans.get("configurations", {}).get(name)
        if not isinstance(entry, dict) or not isinstance(entry.get("inherits_from", ""), str):
            return {}
        found = {**entry, **found}
        name = entry.get("inherits_from")
    return {} if name in seen else with_architecture(found)


def with_architecture(configuration: dict[str, Any]) -> dict[str, Any]:
    """A configuration of nnU-Net before 2.5 with the ``architecture`` that nnU-Net reads from it; others unchanged.

    Args:
        configuration: with what it inherits. It stays as it is if nnU-Net does not know its network.
    """
    if "architecture" in configuration or "UNet_class_name" not in configuration:
        return configuration
    import warnings
    from copy import deepcopy

    from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nnU-Net warns about the old format
        try:
            found: dict[str, Any] = ConfigurationManager(deepcopy(configuration)).configuration
        except MALFORMED:
            return configuration
    return found
