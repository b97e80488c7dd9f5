from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from architectures.blocks.large_kernel_gate import LargeKernelGate

from .conftest import CONV, NORM


def gate(rank: int, **changes: object) -> LargeKernelGate:
    return LargeKernelGate(
        8, conv_op=CONV[rank], norm_op=NORM[rank], norm_op_kwargs={"affine": True}, **changes
    )


def standardised(x: torch.Tensor, norm: nn.Module) -> torch.Tensor:
    axes = tuple(range(2, x.ndim))
    mean, variance = x.mean(axes, keepdim=True), x.var(axes, unbiased=False, keepdim=True)
    shape = (1, -1, *[1] * (x.ndim - 2))
    return (x - mean) / torch.sqrt(variance + norm.eps) * norm.weight.view(shape) + norm.bias.view(
        shape
    )


def by_group(x: torch.Tensor, conv: nn.Module) -> torch.Tensor:
    """A grouped convolution as one convolution per group."""
    dense = {4: F.conv2d, 5: F.conv3d}[x.ndim]
    parts = zip(x.chunk(conv.groups, 1), conv.weight.chunk(conv.groups), strict=True)
    return torch.cat([dense(part, weight, padding="same") for part, weight in parts], 1)


def test_equals_equations_9_and_10(rank: int) -> None:
    block = gate(rank, hidden=4).double()
    for p in block.parameters():
        nn.init.normal_(p, std=0.5)
    x, g = (torch.randn(2, 8, *[6] * rank, dtype=torch.float64) for _ in range(2))
    q = torch.clamp(
        standardised(by_group(g, block.gating), block.gating_norm)
        + standardised(by_group(x, block.skip), block.skip_norm),
        min=0,
    )
    merged = (q * block.merge.weight).sum(1, keepdim=True)
    expected = x * torch.sigmoid(standardised(merged, block.merge_norm))
    assert block.gating.groups == 2
    assert_close(block(x, g), expected)


def test_coefficients_are_in_0_to_1_and_scale_channels_equally(rank: int) -> None:
    block = gate(rank)
    x, g = (torch.randn(2, 8, *[6] * rank) for _ in range(2))
    ratio = block(x, g) / x
    assert ((ratio > 0) & (ratio < 1)).all()
    assert_close(ratio, ratio[:, :1].expand_as(ratio))


@pytest.mark.parametrize(
    ("channels", "groups", "expected"), [(8, 2, 2), (8, 64, 2), (6, 4, 1), (32, 4, 4)]
)
def test_groups_divide_both_widths(channels: int, groups: int, expected: int) -> None:
    assert LargeKernelGate(channels, groups=groups).gating.groups == expected


def test_kernel_follows_the_plan() -> None:
    assert LargeKernelGate(8, kernel_size=[1, 3, 3]).skip.kernel_size == (1, 3, 3)
    with pytest.raises(ValueError, match="must be odd"):
        LargeKernelGate(8, kernel_size=4)


def test_emcads_form_counted_by_hand() -> None:
    """C // 2 channels in C // 2 groups (EMCAD, arXiv 2405.06880): each reads two of the 8 channels."""
    block = LargeKernelGate(8, norm_op=nn.BatchNorm3d, emcad=True)
    grouped, norms, merge = 4 * 2 * 27, 2 * 2 * 4, 4 + 2
    assert sum(p.numel() for p in block.parameters()) == 2 * grouped + norms + merge
    assert block.skip.groups == block.gating.groups == 4
    with pytest.raises(ValueError, match="emcad with groups 2 and hidden None; it sets both"):
        LargeKernelGate(8, emcad=True, groups=2)


def test_in_emcads_form_a_channel_inside_reads_its_pair_of_channels_only(rank: int) -> None:
    block = gate(rank, emcad=True)
    x = torch.zeros(1, 8, *[5] * rank)
    x[:, 2:4] = torch.randn(1, 2, *[5] * rank)
    inside = block.skip(x).flatten(2).abs().amax(2)[0]
    assert (inside > 0).tolist() == [False, True, False, False]
