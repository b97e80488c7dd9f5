"""Packages that only some commands need: imported when wanted, and asked for by name where they are absent."""

from __future__ import annotations

import importlib
from typing import Any

from nnunet_plugins.errors import UserError


def need(module: str, extra: str, purpose: str) -> Any:
    """Import a module of an optional package.

    Args:
        module: e.g. ``highdicom.seg``.
        extra: of setup.cfg, which brings it.
        purpose: what it is for, in a word or two.

    Raises:
        UserError: the package is not installed, with the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise UserError(
            f"{purpose} needs the package {package}, which cannot be imported ({error}); "
            f"pip install 'nnunet-plugins[{extra}]'"
        ) from error
