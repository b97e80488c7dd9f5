"""Two processes train one network together (gloo, CPU): multi-GPU training as far as it runs without a GPU.

DDP fails if a parameter does not contribute to the loss.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as mp
from nnunetv2.run.run_training import find_free_network_port
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from tests.architectures import test_networks
from tests.architectures.network_tester import NetworkTester
from tests.contract.making import architecture

PATCH = (64, 64)
SMALL = {cls.network.__name__: cls.options for cls in NetworkTester.__subclasses__()}


def make(name: str) -> Any:
    from nnunet_plugins.networks import build

    planned = architecture(rank=2)
    planned["arch_kwargs"] |= SMALL[name]
    return build(name, planned, 1, 3, True, PATCH)


def work(rank: int, port: int, folder: str) -> None:
    """One of two workers: two steps on its own data with every network."""
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", rank=rank, world_size=2)
    from nnunet_plugins.training.losses import (
        DEFAULT_LOSS,
        AttentionLoss,
        OutputsLoss,
        build_loss,
        output_weights,
    )

    labels: dict[str, Any] = {"regions": False, "ignore_label": None}
    inner = build_loss(DEFAULT_LOSS, batch_dice=True, ddp=True, **labels)
    for name in SMALL:
        torch.manual_seed(rank)  # different initial weights: DDP must synchronise them
        bare = make(name)
        network = DistributedDataParallel(bare)  # SyncBatchNorm, which nnU-Net adds, requires CUDA
        kinds = [output.kind for output in bare.outputs]
        weights = output_weights(kinds, bare.decoder, {}, keep_all=True)
        loss = OutputsLoss(inner, AttentionLoss(**labels), list(zip(kinds, weights, strict=True)))
        optimizer = torch.optim.SGD(network.parameters(), 0.01)
        for _ in range(2):
            optimizer.zero_grad()
            sizes = [
                [-(-n // s) for n, s in zip(PATCH, output.stride, strict=True)]
                for output in bare.outputs
            ]
            target = [torch.randint(3, (2, 1, *size)).float() for size in sizes]
            loss(network(torch.randn(2, 1, *PATCH)), target).backward()
            optimizer.step()
        torch.save(dict(network.module.named_parameters()), Path(folder) / f"{name}_{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.integration
def test_two_workers_end_with_the_same_weights(tmp_path: Path) -> None:
    assert test_networks  # defines the testers of SMALL
    mp.spawn(work, (find_free_network_port(), str(tmp_path)), nprocs=2)
    for name in SMALL:
        first, second = (torch.load(tmp_path / f"{name}_{rank}.pt") for rank in (0, 1))
        assert all(torch.equal(first[key], second[key]) for key in first), name
        torch.manual_seed(0)
        start = dict(make(name).named_parameters())
        assert any(not torch.equal(first[key], start[key]) for key in first), name
