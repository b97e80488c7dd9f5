"""The same seed gives the same training: with any number of workers, and after an interruption."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nnunetv2.run.run_training import get_trainer_from_args, maybe_load_checkpoint

from nnunet_plugins.planners.derived import add_derived
from nnunet_plugins.training.seeding import SeededBatches, own_random_numbers
from tests.nnunet_plugins import tiny
from tests.nnunet_plugins.processes import ROOT

SHORT = {
    "epochs": 2,
    "iterations_per_epoch": 3,
    "validation_iterations_per_epoch": 1,
    "save_every": 1,
}
Weights = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def data(nnunet: Path) -> tiny.Tiny:
    """Plans with nnU-Net's augmentation, and with dropout, which is random in the main process."""
    made = tiny.make("labels", 762, network="ModularUNet", training=SHORT)
    file = made.preprocessed / "TinyPlans.json"
    plans = json.loads(file.read_text())
    for name, rank in (("2d", 2), ("3d_fullres", 3)):
        arguments = plans["configurations"][name]["architecture"]["arch_kwargs"]
        arguments |= {"dropout_op": f"torch.nn.Dropout{rank}d", "dropout_op_kwargs": {"p": 0.3}}
    file.write_text(json.dumps(plans))
    return made


def trainer(data: tiny.Tiny, base: str, seed: int, *, again: bool = False, epochs: int = 2) -> Any:
    """A trainer for one seed; ``again`` continues the training in its folder."""
    name = add_derived(
        data.preprocessed / "TinyPlans.json", base, [{"seed": seed, "epochs": epochs}]
    )[0]
    made = get_trainer_from_args(
        data.name, name, 0, "ModularUNetTrainer", "TinyPlans", again, torch.device("cpu")
    )
    maybe_load_checkpoint(made, again, False)
    return made


def weights(trained: Any) -> Weights:
    return {k: v.clone() for k, v in trained.network.state_dict().items()}


def trained(data: tiny.Tiny, base: str, seed: int, **more: Any) -> Weights:
    made = trainer(data, base, seed, **more)
    made.run_training()
    return weights(made)


def equal(first: Weights, second: Weights) -> bool:
    return all(torch.equal(first[key], second[key]) for key in first | second)


def test_weights_follow_from_the_seed(data: tiny.Tiny) -> None:
    made = []
    for seed in (1, 1, 2):
        one = trainer(data, "2d", seed)
        one.initialize()
        made.append(weights(one))
    assert equal(made[0], made[1])
    assert not equal(made[0], made[2])


class Draws:
    """A data loader whose batches are random numbers of all three kinds."""

    transforms = None

    def set_thread_id(self, worker: int) -> None:
        self.worker = worker

    def __next__(self) -> tuple[float, float, float]:
        return random.random(), float(np.random.random()), float(torch.rand(1))


def test_a_batch_depends_on_its_number_only() -> None:
    one = SeededBatches(Draws(), (5, 0), first=0, workers=0)
    expected = [next(one) for _ in range(6)]
    assert len({*expected}) == 6
    for worker in range(2):
        part = SeededBatches(Draws(), (5, 0), first=2, workers=2)
        part.number += worker  # set_thread_id would set the threads of this process
        assert [next(part), next(part)] == expected[2 + worker :: 2]
    other = SeededBatches(Draws(), (6, 0), first=0, workers=0)
    assert not {*expected} & {next(other) for _ in range(6)}


def test_random_numbers_outside_go_on() -> None:
    def draw() -> tuple[float, float, float]:
        return next(Draws())

    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    expected = [draw(), draw()]
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    first = draw()
    with own_random_numbers(1):
        draw()
    assert [first, draw()] == expected


@pytest.mark.integration
@pytest.mark.parametrize("base", ["2d", "3d_fullres"])
def test_the_number_of_workers_does_not_matter(
    data: tiny.Tiny, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")
    first = trained(data, base, 1)
    assert not equal(first, trained(data, base, 2))
    for workers in "012":
        monkeypatch.setenv("nnUNet_n_proc_DA", workers)
        assert equal(first, trained(data, base, 1)), f"{workers} workers"


#: Trains until it hangs: in a step of the second epoch, or while a half of its checkpoint is written.
HANGS = """
import sys, time
from pathlib import Path
import torch
from tests.nnunet_plugins.tiny import Tiny
from tests.nnunet_plugins.training.test_seeding import trainer

moment, name, raw, preprocessed = sys.argv[1:]
made = trainer(Tiny(name, "TinyPlans", Path(raw), Path(preprocessed)), "2d", 3, epochs=3)
step, save = made.train_step, torch.save

def hang():
    print("hangs", flush=True)
    time.sleep(600)

def train_step(batch):
    if moment == "step" and made.current_epoch == 1:
        hang()
    return step(batch)

def half(content, file):
    if moment == "checkpoint" and made.current_epoch == 1:
        Path(file).write_bytes(b"PK")
        hang()
    save(content, file)

made.train_step, torch.save = train_step, half
made.run_training()
"""


@pytest.mark.integration
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="no SIGKILL")
@pytest.mark.parametrize(("workers", "moment"), [("0", "step"), ("2", "checkpoint")])
def test_a_killed_training_ends_like_one_that_was_not(
    data: tiny.Tiny, monkeypatch: pytest.MonkeyPatch, workers: str, moment: str
) -> None:
    """Weights, log and learning rates; the process and its workers get SIGKILL."""
    monkeypatch.setenv("nnUNet_n_proc_DA", workers)
    whole = trainer(data, "2d", 3, epochs=3)
    whole.run_training()
    shutil.rmtree(whole.output_folder)

    command = [
        sys.executable,
        "-c",
        HANGS,
        moment,
        data.name,
        str(data.raw),
        str(data.preprocessed),
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True, cwd=ROOT
    ) as killed:
        assert killed.stdout is not None
        reached = "hangs\n" in iter(killed.stdout.readline, "")
        os.killpg(killed.pid, signal.SIGKILL)
    assert reached
    assert killed.returncode == -signal.SIGKILL
    files = {file.name for file in Path(whole.output_folder).iterdir()}
    assert "checkpoint_latest.pth" in files
    assert "checkpoint_final.pth" not in files
    random.seed(), np.random.seed(), torch.seed()

    continued = trainer(data, "2d", 3, epochs=3, again=True)
    assert continued.current_epoch == 1
    continued.run_training()
    assert equal(weights(whole), weights(continued))
    for key in ("train_losses", "val_losses", "lrs", "ema_fg_dice"):
        logs = [one.logger.local_logger.my_fantastic_logging[key] for one in (whole, continued)]
        assert logs[0] == logs[1], key
    left = {file.name for file in Path(whole.output_folder).glob("*.partial")}
    assert not left


def test_without_a_seed_nnunet_loads_the_data_itself(
    data: tiny.Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tiny.trainer_of(data, "2d", "ModularUNetTrainer")
    made.initialize()
    state = torch.get_rng_state()
    made._seed(0)
    assert torch.equal(state, torch.get_rng_state())
    loader, _ = made.get_dataloaders()
    assert not isinstance(loader.data_loader, SeededBatches)
