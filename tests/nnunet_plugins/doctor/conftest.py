"""A healthy environment, and answers of the probe without another process."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple

import pytest

from nnunet_plugins.doctor import folders
from nnunet_plugins.environment import FOLDERS, variables

USAGE = namedtuple("usage", "total used free")


@pytest.fixture
def free_space(monkeypatch):
    """Set the free space of every disk in GiB."""

    def set_to(gib):
        monkeypatch.setattr(shutil, "disk_usage", lambda path: USAGE(0, 0, int(gib * folders.GIB)))

    return set_to


@pytest.fixture
def healthy(tmp_path, free_space):
    """Variables for a small machine with a large disk."""
    free_space(1000)
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    environ |= variables(tmp_path, cpu=True, environ={})
    for name in FOLDERS:
        (tmp_path / name).mkdir()
    return environ


@pytest.fixture
def probed(monkeypatch):
    """Replace the probe of a check's module by its answer."""

    def answer(module, facts):
        monkeypatch.setattr(module, "probe", lambda body, environ: (facts, ""))

    return answer
