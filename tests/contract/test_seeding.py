"""What seeding and the MLflow logger rely on: how nnU-Net loads data without workers, and its list of loggers."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from batchgenerators.dataloading.multi_threaded_augmenter import MultiThreadedAugmenter, producer
from batchgenerators.dataloading.single_threaded_augmenter import SingleThreadedAugmenter
from nnunetv2.training.logging.nnunet_logger import MetaLogger
from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA

from tests.nnunet_plugins import tiny


def test_without_workers_nnunet_loads_in_the_process_itself(
    nnunet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")
    assert get_allowed_n_proc_DA() == 0
    data = tiny.make("labels", 764, network="ModularUNet", training={"epochs": 1})
    trainer = tiny.trainer_of(data, "2d", "ModularUNetTrainer")
    trainer.initialize()
    for loader in trainer.get_dataloaders():
        assert type(loader) is SingleThreadedAugmenter
        assert loader.transform is None
        assert hasattr(loader.data_loader, "transforms")


def test_workers_know_their_number_and_take_turns() -> None:
    assert "data_loader.set_thread_id(thread_id)" in inspect.getsource(producer)
    source = Numbers()
    loader = MultiThreadedAugmenter(source, None, num_processes=2, num_cached_per_queue=1)
    try:
        assert [next(loader) for _ in range(4)] == [{"worker": n} for n in (0, 1, 0, 1)]
    finally:
        loader._finish()


class Numbers:
    """A data loader whose batches are the number of the worker."""

    worker = -1

    def set_thread_id(self, worker: int) -> None:
        self.worker = worker

    def __next__(self) -> dict[str, int]:
        return {"worker": self.worker}


class Told:
    """A logger that keeps what it is given."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def update_config(self, config: dict[str, Any]) -> None:
        self.calls.append(("config", config))

    def log(self, key: str, value: Any, step: int) -> None:
        self.calls.append((key, value, step))

    def log_summary(self, key: str, value: Any) -> None:
        self.calls.append((key, value))


def test_every_logger_of_the_list_gets_what_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("nnUNet_wandb_enabled", raising=False)
    logger = MetaLogger(str(tmp_path), False)
    assert logger.loggers == []
    told = Told()
    logger.loggers.append(told)
    logger.update_config({"hparas": {"a": 1}})
    logger.log("train_losses", 0.5, 0)
    logger.log("dice_per_class_or_region", [0.1, 0.2], 0)
    logger.log_summary("final_val/foreground_dice", 0.9)
    assert told.calls == [
        ("config", {"hparas": {"a": 1}}),
        ("train_losses", 0.5, 0),
        ("dice_per_class_or_region/class_1", 0.1, 0),
        ("dice_per_class_or_region/class_2", 0.2, 0),
        ("final_val/foreground_dice", 0.9),
    ]
