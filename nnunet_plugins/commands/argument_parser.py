"""The parser of all commands: its errors name the nearest known words."""

from __future__ import annotations

import argparse
from difflib import get_close_matches
from typing import Any

from architectures.suggestions import nearest_first


class Parser(argparse.ArgumentParser):
    """Reports unknown arguments with the usage of their command, not of all; sub-commands inherit it."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            near = get_close_matches(rest[0].partition("=")[0], self._option_string_actions, 1)
            hint = f"; nearest: {near[0]}" if near else ""
            self.error(f"unrecognized arguments: {' '.join(rest)}{hint}")
        return found, rest

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = ", ".join(nearest_first(value, map(str, action.choices)))
            raise argparse.ArgumentError(action, f"invalid choice: {value!r} (choose from {known})")
