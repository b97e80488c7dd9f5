"""Optional packages: imported on demand, with an error that names the missing package."""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from nnunet_plugins.errors import UserError


def need(module: str, extra: str, purpose: str) -> Any:
    """Import a module of an optional package.

    >>> need("json", "export", "the export").dumps([])
    '[]'

    Args:
        module: e.g. ``highdicom.seg``.
        extra: the extra in setup.cfg that installs it.
        purpose: what needs it, in a word or two.

    Raises:
        UserError: the package is not installed; the message gives the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise UserError(
            f"{purpose} needs the package {package}, which cannot be imported ({error}); "
            f"pip install 'nnunet-plugins[{extra}]'"
        ) from error


def installed_version(distribution: str) -> str | None:
    """The version of an installed package; None if it is not installed.

    >>> installed_version("no-such-package") is None
    True
    """
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
