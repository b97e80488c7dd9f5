"""pytest's option --dataset, for runs of `nnunet_plugins.checks` and for no others.

A conftest.py in a package is read too late for options of `--pyargs`, so pytest loads this module
as an installed plugin, in every run on this machine. It therefore does nothing, and imports
nothing heavy, unless the command line asks for our checks.
"""

from __future__ import annotations

from typing import Any

PACKAGE = "nnunet_plugins.checks"


def pytest_load_initial_conftests(early_config: Any, parser: Any, args: list[str]) -> None:
    """Add the options where our checks are asked for."""
    if not any(arg.split("::")[0].startswith(PACKAGE) for arg in args):
        return
    group = parser.getgroup("nnunet-plugins", "checks of nnU-Net raw datasets")
    group.addoption(
        "--dataset", action="append", default=[], metavar="DIR",
        help="dataset of nnUNet_raw to check, a test a case; may be given several times",
    )  # fmt: skip
    group.addoption(
        "--allow-empty", action="store_true", help="masks without a label are as they should be"
    )
    # pytest takes DIR for a folder of tests and would keep its cache in the dataset.
    for name in ("cacheprovider", "stepwise"):
        early_config.pluginmanager.set_blocked(name)
