from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from architectures.blocks.eca import EfficientChannelAttention

from .probes import all_finite, at_rest, scrambled


def test_equals_the_paper_equation(rank: int) -> None:
    block = scrambled(EfficientChannelAttention(6, kernel_size=3))
    x = torch.randn(2, 6, *[4] * rank, dtype=torch.float64)
    weights = block.conv.weight.flatten()
    for b in range(2):
        z = [torch.zeros(()), *(x[b, c].mean() for c in range(6)), torch.zeros(())]
        for c in range(6):
            logit = sum(weights[t] * z[c + t] for t in range(3))
            assert_close(block(x)[b, c], x[b, c] / (1 + torch.exp(-logit)))


@pytest.mark.parametrize(
    ("channels", "k"), [(1, 1), (8, 3), (32, 3), (64, 3), (128, 5), (256, 5), (320, 5), (512, 5)]
)
def test_kernel_follows_the_channels(channels: int, k: int) -> None:
    block = EfficientChannelAttention(channels)
    assert sum(p.numel() for p in block.parameters()) == k
    assert k - 2 < math.log2(channels) / 2 + 0.5 <= k + 1


def test_gate_does_not_depend_on_voxel_positions(rank: int) -> None:
    block = EfficientChannelAttention(8)
    x = torch.randn(2, 8, *[5] * rank)
    order = torch.randperm(5**rank)
    moved = x.flatten(2)[..., order].view_as(x)
    assert_close(block(moved).flatten(2), block(x).flatten(2)[..., order])


def test_every_parameter_learns(rank: int) -> None:
    assert at_rest(EfficientChannelAttention(8), torch.randn(2, 8, *[4] * rank)) == set()


def test_large_values_stay_finite(rank: int) -> None:
    assert all_finite(EfficientChannelAttention(8), 2, 8, *[6] * rank)


@pytest.mark.parametrize("k", [0, 2, -1])
def test_bad_kernel(k: int) -> None:
    with pytest.raises(ValueError, match=f"kernel_size is {k}; it must be odd"):
        EfficientChannelAttention(8, kernel_size=k)
