"""Options of `pytest -p nnunet_plugins.checks.plugin --pyargs nnunet_plugins.checks --dataset DIR`.

A conftest.py inside a package is read too late to declare options of a `--pyargs` run.
"""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the options and keep pytest's cache out of the dataset, which pytest takes for its root."""
    group = parser.getgroup("nnunet-plugins", "checks of nnU-Net raw datasets")
    group.addoption(
        "--dataset", action="append", default=[], metavar="DIR",
        help="dataset of nnUNet_raw to check, one test per case; may be repeated",
    )  # fmt: skip
    group.addoption("--allow-empty", action="store_true", help="accept masks without any label")
    for name in ("cacheprovider", "stepwise"):
        pluginmanager.set_blocked(name)
