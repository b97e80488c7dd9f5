from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from architectures.blocks.multi_scale_fusion import MultiScaleFusion, branch_widths

from .conftest import CONV, NORM


def fusion(rank: int, **changes: object) -> MultiScaleFusion:
    block = {
        "conv_bias": True,
        "norm_op": NORM[rank],
        "norm_op_kwargs": {"affine": True},
        "nonlin": nn.LeakyReLU,
        "nonlin_kwargs": {"inplace": True},
    }
    kwargs = {"conv_op": CONV[rank], "kernel_size": [3] * rank, "block_kwargs": block} | changes
    return MultiScaleFusion(2, 8, **kwargs)


def test_equals_shared_then_parallel_convolutions(rank: int) -> None:
    block = fusion(rank).double()
    x = torch.randn(2, 2, *[7] * rank, dtype=torch.float64)
    conv = {2: F.conv2d, 3: F.conv3d}[rank]
    shared = F.leaky_relu(F.instance_norm(conv(x, block.shared.conv.weight, padding=1)), 0.01)
    branches = [
        F.leaky_relu(F.instance_norm(conv(shared, b.weight, padding=size // 2)), 0.01)
        for b, size in zip(block.branches, (1, 3, 5), strict=True)
    ]
    assert_close(block(x), torch.cat(branches, 1))


def test_the_receptive_field_of_a_branch_is_its_kernel(rank: int) -> None:
    block = fusion(rank)
    middle = (slice(None), slice(None), *[5] * rank)
    seen = []
    for branch in block.branches:
        x = torch.zeros(1, 8, *[11] * rank, requires_grad=True)
        branch(x)[middle].sum().backward()
        reached = x.grad.abs().sum((0, 1)).nonzero()
        seen.append(int((reached - 5).abs().max()))
    assert seen == [0, 1, 2]


@pytest.mark.parametrize(
    ("channels", "scales", "widths"),
    [
        (32, (1, 3, 5), [8, 16, 8]),
        (8, (1, 3, 5), [2, 4, 2]),
        (32, (3,), [32]),
        (32, (3, 3), [16, 16]),
        (32, (3, 3, 3), [16, 8, 8]),
        (30, (3, 5, 7), [14, 8, 8]),
    ],
)
def test_widths_share_the_channels(
    channels: int, scales: tuple[int, ...], widths: list[int]
) -> None:
    assert branch_widths(channels, scales) == widths


def test_thin_axes_stay_thin_and_strides_apply() -> None:
    block = fusion(3, kernel_size=[1, 3, 3], stride=[1, 2, 2], n_convs=4)
    assert [b.kernel_size for b in block.branches] == [(1, 1, 1), (1, 3, 3), (1, 5, 5)]
    assert block(torch.randn(1, 2, 4, 8, 8)).shape == (1, 8, 4, 4, 4)
    assert block.compute_conv_feature_map_size([4, 8, 8]) == 4 * 8 * 4 * 4 * 4


def test_bad_scales() -> None:
    with pytest.raises(ValueError, match=r"scales are \[2\]"):
        fusion(3, scales=(2,))
    with pytest.raises(ValueError, match="3 branches need"):
        branch_widths(2, (1, 3, 5))
