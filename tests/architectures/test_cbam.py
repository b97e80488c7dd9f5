from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from architectures.blocks.cbam import CBAM, SpatialGate

from .conftest import CONV
from .probes import all_finite, at_rest, convolved, kept, scrambled


def test_spatial_gate_equals_equation_3(rank: int) -> None:
    block = scrambled(SpatialGate(4, conv_op=CONV[rank], kernel_size=[5, 3, 3][:rank]))
    x = torch.randn(2, 4, *[6] * rank, dtype=torch.float64)
    mean = sum(x[:, c] for c in range(4)) / 4
    largest = torch.maximum(torch.maximum(x[:, 0], x[:, 1]), torch.maximum(x[:, 2], x[:, 3]))
    logits = convolved(torch.stack([mean, largest], 1), block.conv)
    assert_close(block(x), x / (1 + torch.exp(-logits)))


def test_cbam_equals_equations_2_and_3(rank: int) -> None:
    block = scrambled(CBAM(4, conv_op=CONV[rank], reduction=2, kernel_size=3))
    x = torch.randn(2, 4, *[5] * rank, dtype=torch.float64)
    w1, w2 = block.shared[0].weight, block.shared[2].weight
    gated = torch.empty_like(x)
    for b in range(2):
        mean = torch.stack([x[b, c].mean() for c in range(4)])
        largest = torch.stack([x[b, c].max() for c in range(4)])
        logits = sum(w2 @ torch.clamp(w1 @ z, min=0) for z in (mean, largest))
        for c in range(4):
            gated[b, c] = x[b, c] / (1 + torch.exp(-logits[c]))
    assert_close(block(x), block.spatial(gated))


def test_sizes_in_parameters(rank: int) -> None:
    gate, both = SpatialGate(conv_op=CONV[rank]), CBAM(64, conv_op=CONV[rank])
    assert sum(p.numel() for p in gate.parameters()) == 2 * 7**rank
    assert sum(p.numel() for p in both.parameters()) == 2 * 64 * 4 + 2 * 7**rank


def test_spatial_gate_scales_channels_equally_and_is_equivariant(rank: int) -> None:
    block = SpatialGate(conv_op=CONV[rank], kernel_size=3)
    x = torch.zeros(1, 4, *[9] * rank)
    x[(..., *[slice(2, 5)] * rank)] = torch.rand(1, 4, *[3] * rank) + 0.1
    inside = (..., *[slice(2, 5)] * rank)
    ratio = block(x)[inside] / x[inside]
    assert_close(ratio, ratio[:, :1].expand_as(ratio))
    turned = x.roll([1] * rank, list(range(2, 2 + rank)))
    assert_close(block(turned), block(x).roll([1] * rank, list(range(2, 2 + rank))))


@pytest.mark.parametrize(
    "cls", [SpatialGate, partial(CBAM, reduction=2)], ids=["SpatialGate", "CBAM"]
)
def test_maps_kept_and_parameters_learn(cls: Callable[..., nn.Module], rank: int) -> None:
    block = cls(16, conv_op=CONV[rank], kernel_size=3)
    size = [8] * rank
    estimate = block.compute_conv_feature_map_size(size)
    # The remainder is means, maxima and gates of channels.
    assert estimate <= kept(block, torch.randn(1, 16, *size)) <= estimate + 10 * 16 + 8**rank
    assert at_rest(block, torch.randn(2, 16, *size)) == set()


@pytest.mark.parametrize("cls", [SpatialGate, CBAM])
def test_large_values_stay_finite(cls: type[nn.Module], rank: int) -> None:
    assert all_finite(cls(16, conv_op=CONV[rank]), 2, 16, *[6] * rank)


def test_channel_gate_is_finite_where_fp16_overflows() -> None:
    block = CBAM(2, conv_op=nn.Conv2d, reduction=1)
    with torch.no_grad():
        block.shared[0].weight.copy_(torch.tensor([[4.0, 4.0], [4.0, 4.0]]))
        block.shared[2].weight.copy_(torch.tensor([[1.0, -1.0], [-1.0, 1.0]]))
    x = torch.full((1, 2, 4, 4), 3e4, dtype=torch.float16)  # 2.4e5 inside: inf - inf in fp16
    with torch.autocast("cpu", dtype=torch.float16):
        y = block(x)
    assert torch.isfinite(y).all()
    assert_close(y.float(), block(x.float()), rtol=2e-3, atol=0)


@pytest.mark.parametrize("kernel", [4, [3, 2], 0])
def test_bad_arguments(kernel: object) -> None:
    with pytest.raises(ValueError, match=r"SpatialGate: kernel_size is .*must be odd"):
        SpatialGate(8, conv_op=nn.Conv2d, kernel_size=kernel)
    with pytest.raises(ValueError, match="must be odd"):
        CBAM(8, conv_op=nn.Conv2d, kernel_size=kernel)
    with pytest.raises(ValueError, match="reduction is 0"):
        CBAM(8, conv_op=nn.Conv2d, reduction=0)
