"""Terms in half precision, compiled, and over two workers."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from torch import distributed
from torch.testing import assert_close

from nnunet_plugins.training.losses import DEFAULT_LOSS, build_loss

from .samples import ALL_KINDS, KINDS, TERMS, data, make, value_and_gradient


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("regions", [False, True], ids=["labels", "regions"])
def test_dice_sums_a_patch_that_half_precision_cannot_count(dtype, regions):
    size = (50, 256, 256)  # 3,276,800 voxels, fp16 ends at 65,504
    p = 0.75
    channel = torch.full((1, 1, *size), math.log(p / (1 - p)), dtype=dtype)
    logits = channel if regions else torch.cat([torch.zeros_like(channel), channel], 1)
    logits.requires_grad_()
    with torch.autocast("cpu", dtype=dtype):
        loss = make({"dice": 1}, regions=regions, ignore_label=None, batch_dice=True)
        value, gradient = value_and_gradient(loss, logits, torch.ones(1, 1, *size))
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(-2 * p / (p + 1), rel=1e-3)
    assert gradient.dtype == dtype
    assert gradient.isfinite().all()


@ALL_KINDS
@TERMS
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_under_autocast_the_loss_is_that_of_the_same_logits_in_fp32(kind, terms, dtype):
    logits, target = data((6, 5), **kind)
    logits = logits.detach().to(dtype)
    with torch.autocast("cpu", dtype=dtype):
        value = make(terms, **kind)(logits, target)
    assert torch.equal(value, make(terms, **kind)(logits.float(), target))


@ALL_KINDS
@TERMS
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_large_logits_stay_finite(kind, terms, dtype):
    logits, target = data((6, 5), **kind)
    logits = (logits.detach().sign() * 6e4).to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
        value, gradient = value_and_gradient(make(terms, **kind), logits, target)
    assert value.isfinite()
    assert gradient.isfinite().all()


def test_dice_alone_is_compiled(monkeypatch):
    compiled = []

    def spy(function, *_args, **_kwargs):
        compiled.append(function.__self__)
        return function

    monkeypatch.setattr(torch, "compile", spy)
    kind = KINDS["labels and ignore"]
    asked = {"batch_dice": False, "ddp": False, **kind}
    loss = build_loss(DEFAULT_LOSS, compiled=True, **asked)
    assert [type(module) for module in compiled] == [MemoryEfficientSoftDiceLoss]
    logits, target = data((6, 5), **kind)
    assert torch.equal(loss(logits, target), build_loss(DEFAULT_LOSS, **asked)(logits, target))
    build_loss({"ce": 1}, compiled=True, **asked)
    assert len(compiled) == 1


def halves(rank: int, folder: str) -> None:
    """One of two workers: its half of a batch, and what it makes of it."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2
    )
    found = {}
    for name, (kind, logits, target) in torch.load(Path(folder) / "batch.pt").items():
        mine = slice(2 * rank, 2 * rank + 2)
        loss = make({"dice": 1}, batch_dice=True, ddp=True, **kind)
        found[name] = value_and_gradient(loss, logits[mine].requires_grad_(), target[mine])
    torch.save(found, Path(folder) / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.integration
def test_two_workers_with_half_a_batch_see_the_dice_of_the_whole(tmp_path):
    batch = {}
    for name, kind in KINDS.items():
        logits, target = data((4, 5), batch=4, **kind)
        batch[name] = (kind, logits.detach(), target)
    torch.save(batch, tmp_path / "batch.pt")
    mp.spawn(halves, (str(tmp_path),), nprocs=2)
    parts = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    for name, (kind, logits, target) in batch.items():
        whole = make({"dice": 1}, batch_dice=True, **kind)
        value, gradient = value_and_gradient(whole, logits.requires_grad_(), target)
        apart = make({"dice": 1}, batch_dice=True, **kind)(logits[:2], target[:2])
        assert not torch.isclose(apart, value)
        for part in parts:
            assert_close(part[name][0], value)
        # Each worker has the gradient of both workers' loss; DDP takes the mean over workers.
        assert_close(torch.cat([part[name][1] for part in parts]) / 2, gradient)
