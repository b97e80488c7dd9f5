from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from architectures.blocks.additive_gate import AdditiveGate

from .conftest import CONV
from .probes import all_finite, at_rest, kept, scrambled


def gate(rank: int, channels: int = 8, **changes: object) -> AdditiveGate:
    return AdditiveGate(channels, conv_op=CONV[rank], **changes)


def at_each_voxel(conv: nn.Module, x: torch.Tensor) -> torch.Tensor:
    flat = torch.einsum("oi,bin->bon", conv.weight.flatten(1), x.flatten(2)) + conv.bias[:, None]
    return flat.unflatten(2, x.shape[2:])


def test_equals_equations_1_and_2(rank: int) -> None:
    block = scrambled(gate(rank))
    x, g = (torch.randn(2, 8, *[4] * rank, dtype=torch.float64) for _ in range(2))
    agreement = torch.clamp(at_each_voxel(block.skip, x) + at_each_voxel(block.gating, g), min=0)
    alpha = 1 / (1 + torch.exp(-at_each_voxel(block.merge, agreement)))
    assert_close(block.coefficients(x, g), alpha)
    assert_close(block(x, g), x * alpha)


def test_skip_and_gating_are_not_swapped(rank: int) -> None:
    block = gate(rank)
    x, g = torch.zeros(1, 8, *[4] * rank), torch.randn(1, 8, *[4] * rank)
    assert block(x, g).abs().max() == 0
    assert block(g, x).abs().max() > 0


@pytest.mark.parametrize("c", [64, 128, 256, 512])
def test_it_has_as_many_parameters_as_in_silveira2025(c: int) -> None:
    with torch.device("meta"):
        block = gate(2, c, reduction=1)
    assert sum(p.numel() for p in block.parameters()) == 2 * (c * c + c) + c + 1


def test_widths(rank: int) -> None:
    assert gate(rank).skip.out_channels == 4
    assert gate(rank, 1).skip.out_channels == 1
    block = gate(rank, gating_channels=3)
    skip, gating = torch.randn(1, 8, *[4] * rank), torch.randn(1, 3, *[4] * rank)
    assert block(skip, gating).shape == skip.shape


def test_maps_kept_are_those_it_reports(rank: int) -> None:
    block = gate(rank)
    size = [4, 6, 8][:rank]
    x, g = (torch.randn(1, 8, *size) for _ in range(2))
    assert block.compute_conv_feature_map_size(size) == kept(block, x, g) + g.numel()


def test_every_parameter_learns(rank: int) -> None:
    x, g = (torch.randn(2, 8, *[4] * rank) for _ in range(2))
    assert at_rest(gate(rank), x, g) == set()


def test_large_values_stay_finite(rank: int) -> None:
    assert all_finite(gate(rank), 2, 8, *[6] * rank, inputs=2)


def test_bad_reduction() -> None:
    with pytest.raises(ValueError, match="AdditiveGate: reduction is 0; it must be 1 or more"):
        gate(2, reduction=0)
