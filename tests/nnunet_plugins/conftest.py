"""nnU-Net's folders and our trainers for a whole test session."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nnunet_plugins.environment import variables

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
    patch.setenv("nnUNet_n_proc_DA", "0")  # for training; planning through the command wants 1
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (root / name).mkdir()
    yield root
    patch.undo()
