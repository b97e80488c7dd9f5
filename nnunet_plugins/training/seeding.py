"""Trainings that can be repeated: each epoch and each batch has random numbers of its own, drawn from one seed.

nnU-Net seeds nothing, and its workers hand over batches in the order in which they finish. Here the number of a batch
determines its cases, patches and augmentation, whoever makes it, so neither the number of workers nor an interruption
changes a training.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from batchgenerators.dataloading.multi_threaded_augmenter import MultiThreadedAugmenter
from batchgenerators.dataloading.single_threaded_augmenter import SingleThreadedAugmenter
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.default_n_proc_DA import get_allowed_n_proc_DA

_WORKERS = "nnUNet_n_proc_DA"
# What random numbers are for; part of the seed of their stream.
_WEIGHTS, _EPOCH, _TRAINING_BATCH, _VALIDATION_BATCH = range(4)


def seeds_of(*stream: int) -> tuple[int, int, int]:
    """Seeds for Python, numpy and torch, which depend on every number of ``stream``.

    >>> seeds_of(1, 2) == seeds_of(1, 2)
    True
    >>> seeds_of(1, 2) == seeds_of(2, 1)
    False
    """
    first, second, third = np.random.SeedSequence(stream).generate_state(3)
    return int(first), int(second), int(third)


@contextmanager
def own_random_numbers(*stream: int) -> Iterator[None]:
    """Random numbers of ``stream`` on the CPU within the block; those outside continue after it."""
    python, numbers = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        try:
            first, second, third = seeds_of(*stream)
            random.seed(first)
            np.random.seed(second)
            torch.default_generator.manual_seed(third)
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numbers)


class SeededBatches:
    """The batches of nnU-Net's data loader, each with random numbers of its own.

    Args:
        loader: makes the next batch.
        stream: seed, use and rank.
        first: number of the first batch.
        workers: processes that share the batches; worker i makes every batch i + k * workers.
    """

    def __init__(self, loader: Any, stream: tuple[int, ...], first: int, workers: int) -> None:
        self.loader, self.stream, self.number = loader, stream, first
        self.step = max(workers, 1)
        self.transforms = loader.transforms  # nnU-Net writes them into debug.json

    def set_thread_id(self, worker: int) -> None:
        """Called by batchgenerators in the process of a worker."""
        torch.set_num_threads(1)
        self.loader.set_thread_id(worker)
        self.number += worker

    def __next__(self) -> Any:
        with own_random_numbers(*self.stream, self.number):
            batch = next(self.loader)
        self.number += self.step
        return batch


class SeededTrainer(nnUNetTrainer):
    """nnUNetTrainer whose weights, batches and dropout follow from ``training.seed`` of the plans, if it is set."""

    procedure: dict[str, Any]

    def _seed(self, *stream: int) -> None:
        seed = self.procedure.get("seed")
        if seed is None:
            return
        first, second, third = seeds_of(seed, *stream)
        random.seed(first)
        np.random.seed(second)
        torch.manual_seed(third)

    def initialize(self) -> None:
        """nnU-Net's initialisation, from the seed."""
        self._seed(_WEIGHTS)
        super().initialize()

    def on_train_epoch_start(self) -> None:
        """Dropout of an epoch does not depend on those before."""
        self._seed(_EPOCH, self.current_epoch, self.local_rank)
        super().on_train_epoch_start()

    def get_dataloaders(self) -> tuple[Any, Any]:
        """nnU-Net's data loaders; with a seed, their batches and the order of these follow from it.

        On CUDA, a seed also selects cuDNN's deterministic convolutions instead of the fastest ones.
        """
        seed = self.procedure.get("seed")
        if seed is None:
            loaders: tuple[Any, Any] = super().get_dataloaders()
            return loaders
        if self.device.type == "cuda":
            torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = False, True
        workers = get_allowed_n_proc_DA()
        with _without_workers():  # nnU-Net would start workers that cannot be seeded
            plain = super().get_dataloaders()
        uses = (
            (_TRAINING_BATCH, self.num_iterations_per_epoch, workers, 6),
            (
                _VALIDATION_BATCH,
                self.num_val_iterations_per_epoch,
                min(workers, max(1, workers // 2)),
                3,
            ),
        )
        made = []
        for augmenter, (use, batches, processes, cached) in zip(plain, uses, strict=True):
            stream, first = (seed, use, self.local_rank), self.current_epoch * batches
            source = SeededBatches(augmenter.data_loader, stream, first, processes)
            made.append(_augmenter(source, processes, cached, self.device.type == "cuda"))
            next(made[-1])  # starts the workers before the training does, like nnU-Net
        return made[0], made[1]


@contextmanager
def _without_workers() -> Iterator[None]:
    before = os.environ.get(_WORKERS)
    os.environ[_WORKERS] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_WORKERS]
        else:
            os.environ[_WORKERS] = before


def _augmenter(source: SeededBatches, workers: int, cached: int, pin: bool) -> Any:
    """nnU-Net's augmenter for ``workers`` processes, of the kind that keeps the order of the batches."""
    if not workers:
        return SingleThreadedAugmenter(source, None)
    return MultiThreadedAugmenter(
        source,
        None,
        num_processes=workers,
        num_cached_per_queue=-(-cached // workers),  # as many batches in memory as nnU-Net
        pin_memory=pin,
        wait_time=0.002,
    )
