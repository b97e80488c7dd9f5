"""Two processes train one network together (gloo, CPU): as far as multi-GPU can be run without a GPU."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from nnunetv2.run.run_training import find_free_network_port
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from tests.contract.making import architecture

ARCHITECTURE = architecture(rank=2)


def work(rank: int, port: int, name: str, folder: str) -> None:
    """One of two workers: three steps on data of its own, with nnU-Net's distributed loss."""
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", rank=rank, world_size=2)
    from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
    from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
    from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss

    from nnunet_plugins.networks import build

    torch.manual_seed(rank)  # the workers start apart: DDP must bring them together
    network = DistributedDataParallel(
        nn.SyncBatchNorm.convert_sync_batchnorm(build(name, ARCHITECTURE, 1, 3, True))
    )
    dice = {"batch_dice": True, "smooth": 1e-5, "do_bg": False, "ddp": True}
    inner = DC_and_CE_loss(dice, {}, dice_class=MemoryEfficientSoftDiceLoss)
    loss = DeepSupervisionWrapper(
        inner, [1.0, 1e-6]
    )  # nnU-Net's weight for the coarsest output under DDP
    optimizer = torch.optim.SGD(network.parameters(), 0.01)
    for _ in range(3):
        optimizer.zero_grad()
        target = [torch.randint(3, (2, 1, s, s)).float() for s in (16, 8)]
        loss(network(torch.randn(2, 1, 16, 16)), target).backward()
        optimizer.step()
    torch.save(network.module.state_dict(), Path(folder) / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.parametrize("name", ["MAGUNet", "SEUNet"])
def test_two_workers_end_with_the_same_weights(name: str, tmp_path: Path) -> None:
    mp.spawn(work, (find_free_network_port(), name, str(tmp_path)), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert all(torch.equal(first[key], second[key]) for key in first)
    torch.manual_seed(0)
    from nnunet_plugins.networks import build

    start = build(name, ARCHITECTURE, 1, 3, True).state_dict()
    assert any(not torch.equal(first[key], start[key]) for key in first)
