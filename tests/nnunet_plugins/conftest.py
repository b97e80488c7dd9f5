"""nnU-Net's folders and our trainers for a whole test session."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nnunet_plugins.cli import main
from nnunet_plugins.environment import FOLDERS, variables

# A spinning OpenMP makes two cores ten times slower; it is read when torch loads.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture(scope="module")
def nnunet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh nnU-Net root with our trainers; data is loaded in the process itself."""
    root = tmp_path_factory.mktemp("nnunet")
    patch = pytest.MonkeyPatch()
    for name, value in variables(root, cpu=True).items():
        patch.setenv(name, value)
    patch.setenv("nnUNet_n_proc_DA", "0")  # for training; planning through the command needs 1
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (root / name).mkdir()
    yield root
    patch.undo()


@pytest.fixture
def said(capsys):
    """Run a command that fails: its line on stderr, checked to be short and without traceback."""

    def run(*arguments, status=2):
        assert main(arguments) == status
        error = capsys.readouterr().err
        assert "Traceback" not in error
        assert len(error.strip().splitlines()) <= 3
        return error

    return run


@pytest.fixture
def root(tmp_path, monkeypatch):
    """nnU-Net's folders with Dataset001_One, in name only, and Dataset012_Two."""
    for name in FOLDERS:
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    for dataset in ("Dataset001_One", "Dataset012_Two"):
        (tmp_path / "nnUNet_raw" / dataset).mkdir()
        (tmp_path / "nnUNet_preprocessed" / dataset).mkdir()
    return tmp_path
