"""nnU-Net's folders, with our trainers in nnUNet_extTrainer, and trainers built without data."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nnunet_plugins.environment import FOLDERS, variables

from . import making

# Spinning OpenMP threads make two cores ten times slower; torch reads the variable when it loads.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@pytest.fixture(scope="module")
def nnunet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh nnU-Net root, as ``nnunet-plugins env --cpu`` sets it."""
    root = tmp_path_factory.mktemp("nnunet")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables(root, cpu=True, environ={}).items():
            patch.setenv(name, value)
        for name in FOLDERS:
            (root / name).mkdir()
        yield root


@pytest.fixture
def make_trainer(nnunet: Path) -> Callable[..., Any]:
    """Build a trainer (nnUNetTrainer by default) for plans and a dataset.json."""

    def make(
        trainer_class: type | None = None,
        configuration: str = "3d_fullres",
        plans: dict | None = None,
        dataset: dict | None = None,
    ) -> Any:
        import torch
        from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

        # get_trainer_from_args adds continue_training to the plans, and the trainer removes it again.
        entry = (plans or making.plans()) | {"continue_training": False}
        return (trainer_class or nnUNetTrainer)(
            entry, configuration, 0, dataset or making.DATASET, torch.device("cpu")
        )

    return make
