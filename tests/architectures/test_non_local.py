from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from architectures.blocks.non_local import NonLocal
from architectures.modular_unet import ModularUNet

from .conftest import CONV, NORM
from .probes import (
    BATCH,
    LARGE,
    all_finite,
    at_rest,
    attended_in,
    fused,
    kept,
    normalised,
    scrambled,
)


def non_local(rank: int, channels: int = 4, **changes: object) -> NonLocal:
    kwargs = {"conv_op": CONV[rank], "norm_op": BATCH[rank], "norm_op_kwargs": {}}
    return NonLocal(channels, **kwargs | changes)


def norms(rank: int) -> list[dict[str, object]]:
    plain = [{"norm_op": None}]
    return plain + [
        {"norm_op": norm[rank], "norm_op_kwargs": {"affine": affine}}
        for norm in (BATCH, NORM)
        for affine in (True, False)
    ]


@pytest.mark.parametrize("norm", [BATCH, NORM], ids=["batch", "instance"])
def test_equals_equations_4_and_6(rank: int, norm: dict[int, type[nn.Module]]) -> None:
    kwargs = {"norm_op": norm[rank], "norm_op_kwargs": {"affine": True}}
    block = scrambled(non_local(rank, **kwargs))
    x = torch.randn(2, 4, *[3] * rank, dtype=torch.float64)
    n = 3**rank
    gathered = torch.empty(2, 2, n, dtype=torch.float64)
    for b in range(2):
        theta, phi, g = (
            p.weight.flatten(1) @ x[b].flatten(1) for p in (block.theta, block.phi, block.g)
        )
        for j in range(n):
            weights = torch.exp(torch.stack([theta[:, j] @ phi[:, i] for i in range(n)]))
            weights = weights / weights.sum()
            gathered[b, :, j] = sum(weights[i] * g[:, i] for i in range(n))
    out = torch.einsum("oi,bin->bon", block.out.weight.flatten(1), gathered)
    assert_close(block(x), x + normalised(out.view_as(x), block.norm))


def test_it_is_initially_the_identity_also_after_initialize(rank: int) -> None:
    x = torch.randn(2, 4, *[4] * rank)
    for kwargs in norms(rank):
        block = non_local(rank, **kwargs)
        assert_close(block(x), x)
        block.apply(ModularUNet.initialize)
        assert_close(block(x), x)


def test_without_a_weight_in_the_norm_a_scale_replaces_it(rank: int) -> None:
    x = torch.randn(2, 4, *[4] * rank, dtype=torch.float64)
    kwargs = {"norm_op": NORM[rank], "norm_op_kwargs": {"affine": False}}
    block = scrambled(non_local(rank, **kwargs))
    twin = non_local(rank, norm_op=NORM[rank], norm_op_kwargs={"affine": True}).double()
    twin.load_state_dict(
        {k: v for k, v in block.state_dict().items() if k != "scale"}, strict=False
    )
    with torch.no_grad():
        twin.norm.weight.copy_(block.scale)
    assert twin.scale is None
    assert_close(block(x), twin(x))


def test_every_parameter_learns(rank: int) -> None:
    for kwargs in norms(rank):
        assert at_rest(non_local(rank, **kwargs), torch.randn(2, 4, *[4] * rank)) == set()


def test_it_is_equivariant_to_permutations_of_voxels(rank: int) -> None:
    block = scrambled(non_local(rank))
    x = torch.randn(2, 4, *[3] * rank, dtype=torch.float64)
    order = torch.randperm(3**rank)
    moved = x.flatten(2)[..., order].view_as(x)
    assert_close(block(moved).flatten(2), block(x).flatten(2)[..., order])


def test_fused_kernel_runs_and_is_right(rank: int) -> None:
    block = non_local(rank, 16, norm_op=None)
    nn.init.normal_(block.scale)
    x = torch.randn(1, 16, *LARGE[rank])
    y = fused(block, x)
    flat = x.flatten(2)
    theta, phi, g, out = (p.weight.flatten(1) for p in (block.theta, block.phi, block.g, block.out))
    weights = torch.softmax(torch.einsum("bcj,bci->bji", theta @ flat, phi @ flat), -1)
    change = out @ torch.einsum("bji,bci->bcj", weights, g @ flat)
    assert_close(y.flatten(2), flat + change * block.scale[:, None], rtol=1e-4, atol=1e-4)


def test_logits_are_fp32_under_autocast(rank: int) -> None:
    block = non_local(rank, 8)
    for dtype in (torch.float16, torch.bfloat16):
        with torch.autocast("cpu", dtype=dtype):
            seen = attended_in(block, torch.randn(1, 8, *[4] * rank))
        assert seen == [torch.float32] * 3


def test_maps_kept(rank: int) -> None:
    block = non_local(rank, 16)
    size = [8] * rank
    ratio = kept(block, torch.randn(1, 16, *size)) / block.compute_conv_feature_map_size(size)
    assert 0.9 < ratio < 1.2


def test_large_values_stay_finite(rank: int) -> None:
    for kwargs in norms(rank):
        assert all_finite(non_local(rank, 16, **kwargs), 2, 16, *[6] * rank)


def test_it_is_initially_the_identity_where_fp16_overflows_inside() -> None:
    for kwargs in norms(2):
        block = non_local(2, 2, **kwargs)
        with torch.no_grad():
            block.g.weight.fill_(4)
            block.out.weight.fill_(4)
        x = 1e4 * torch.rand(2, 2, 4, 4)
        with torch.autocast("cpu", dtype=torch.float16):
            y = block(x)
        assert_close(y, x)


def test_hidden() -> None:
    assert non_local(2, 12).theta.out_channels == 6
    assert non_local(2, 1).theta.out_channels == 1
    assert non_local(2, hidden=3).out.in_channels == 3
    with pytest.raises(ValueError, match="NonLocal: hidden is 0"):
        non_local(2, hidden=0)
