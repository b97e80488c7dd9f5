"""Our trainers record whether a training began with pretrained weights, which nnU-Net does not."""

from __future__ import annotations

import json
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from nnunetv2.run.run_training import maybe_load_checkpoint

from nnunet_plugins.model_facts import facts_of_fold
from nnunet_plugins.training.initial_weights import digest_of, initial_weights
from nnunet_plugins.training_log import read_training_log
from tests.nnunet_plugins import tiny

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def data(nnunet: Path) -> tiny.Tiny:
    return tiny.make("labels", 739, training={"epochs": 1, "iterations_per_epoch": 1})


@pytest.fixture
def start(data: tiny.Tiny, tmp_path: Path) -> Callable[..., Any]:
    """Start a training up to its first epoch, as nnUNetv2_train does; returns the trainer."""

    def run(weights: Path | None = None, *, continued: bool = False, epoch: int = 0) -> Any:
        trainer = tiny.trainer_of(data, "2d")
        trainer.output_folder = str(tmp_path)
        trainer.log_file = str(tmp_path / "training_log_2026_1_1_00_00_00.txt")
        maybe_load_checkpoint(trainer, continued, False, str(weights) if weights else None)
        if not trainer.was_initialized:
            trainer.initialize()
        trainer.current_epoch = epoch or trainer.current_epoch
        trainer._record_start()
        trainer._save_debug_information()
        return trainer

    return run


def recorded(folder: Path) -> str | None:
    found: str | None = json.loads((folder / "debug.json").read_text()).get("initial_weights")
    return found


def test_a_training_from_scratch_begins_with_random_weights(
    start: Callable, tmp_path: Path
) -> None:
    trainer = start()
    assert recorded(tmp_path) == "random"
    assert "_made_with" not in json.loads((tmp_path / "debug.json").read_text())
    facts = facts_of_fold(tmp_path, read_training_log(tmp_path))
    assert facts["initial_weights"] == "random"
    assert facts["nnunet"] == trainer.nnunet_version


def test_pretrained_weights_are_recorded_and_stay_so_when_continued(
    start: Callable, tmp_path: Path
) -> None:
    other = start()
    weights = tmp_path / "weights.pth"
    torch.save({"network_weights": other.network.state_dict()}, weights)
    trainer = start(weights)
    assert recorded(tmp_path) == "pretrained"
    trainer.save_checkpoint(str(tmp_path / "checkpoint_latest.pth"))
    start(continued=True, epoch=1)
    assert recorded(tmp_path) == "pretrained"
    log = (tmp_path / "training_log_2026_1_1_00_00_00.txt").read_text()
    assert "weights loaded from checkpoint_latest.pth" in log
    (tmp_path / "debug.json").unlink()  # of another version: not known
    start(continued=True, epoch=1)
    assert recorded(tmp_path) is None


def test_a_network_of_an_unknown_start_is_not_called_random() -> None:
    network = torch.nn.Conv1d(1, 1, 1)
    assert initial_weights(None, digest_of(network)) is None


def test_nnunet_itself_records_no_pretrained_weights(data: tiny.Tiny, start: Callable) -> None:
    """The reason for recording them; if nnU-Net begins to, its record is to be read instead."""
    trainer = start()
    kept = {"init_args": trainer.my_init_kwargs, "trainer": vars(trainer)}
    names = str({key: list(value) for key, value in kept.items()})
    assert isinstance(trainer.my_init_kwargs, dict | types.MappingProxyType)
    assert "pretrained" not in names
