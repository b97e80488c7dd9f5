from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from architectures.blocks.squeeze_excite import SqueezeExcite


def test_gate_does_not_depend_on_voxel_positions(rank: int) -> None:
    block = SqueezeExcite(8, reduction=2)
    x = torch.randn(2, 8, *[5] * rank)
    order = torch.randperm(5**rank)
    moved = x.flatten(2)[..., order].view_as(x)
    assert_close(block(moved).flatten(2), block(x).flatten(2)[..., order])


def test_equals_the_paper_equation(rank: int) -> None:
    block = SqueezeExcite(8, reduction=4).double()
    x = torch.randn(2, 8, *[4] * rank, dtype=torch.float64)
    w1, w2 = block.gate[0].weight, block.gate[2].weight
    for b in range(2):
        z = torch.stack([x[b, c].mean() for c in range(8)])
        s = 1 / (1 + torch.exp(-(w2 @ torch.clamp(w1 @ z, min=0))))
        expected = torch.stack([s[c] * x[b, c] for c in range(8)])
        assert_close(block(x)[b], expected)


def test_512_channels_have_the_papers_number_of_parameters() -> None:
    assert sum(p.numel() for p in SqueezeExcite(512).parameters()) == 32_768


def test_bad_reduction() -> None:
    with pytest.raises(ValueError, match="reduction is 0"):
        SqueezeExcite(8, reduction=0)
