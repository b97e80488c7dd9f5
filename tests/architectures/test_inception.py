from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from architectures.blocks.inception import Inception

from .conftest import CONV
from .probes import (
    BATCH,
    RELU,
    all_finite,
    at_rest,
    convolution_outputs,
    convolved,
    normalised,
    scrambled,
    shifted,
)


def inception(rank: int, width: int = 4, **changes: object) -> Inception:
    layers = {"conv_bias": True, "norm_op": BATCH[rank], "norm_op_kwargs": {}, **RELU}
    kwargs = {"conv_op": CONV[rank], "kernel_size": [3] * rank, "block_kwargs": layers}
    return Inception(2, width, **kwargs | changes)


def layer(x: torch.Tensor, block: nn.Module) -> torch.Tensor:
    return normalised(convolved(x, block.conv), block.norm).clamp(min=0)


def test_equals_figure_2(rank: int) -> None:
    block = scrambled(inception(rank))
    x = torch.randn(2, 2, *[6] * rank, dtype=torch.float64)
    largest = torch.stack(
        [shifted(x, o, -torch.inf) for o in itertools.product((-1, 0, 1), repeat=rank)]
    ).amax(0)
    one, three, five, pooled = block.branches
    expected = [
        layer(x, one[0]),
        layer(layer(x, three[0]), three[1]),
        layer(layer(x, five[0]), five[1]),
        layer(largest, pooled[1]),
    ]
    assert_close(block(x), torch.cat(expected, 1))


def test_widths_and_parameters_are_the_papers() -> None:
    """64 | 96 -> 128 | 16 -> 32 | 32, each with bias and batch norm (368 channels in total)."""
    layers = {"conv_bias": True, "norm_op": nn.BatchNorm2d, "norm_op_kwargs": {}, **RELU}
    block = Inception(1, 64, conv_op=nn.Conv2d, kernel_size=[3, 3], block_kwargs=layers)
    one = 64 + 64
    three = (96 + 96) + (9 * 96 * 128 + 128)
    five = (16 + 16) + (25 * 16 * 32 + 32)
    pooled = 32 + 32
    assert sum(p.numel() for p in block.parameters()) == one + three + five + pooled + 2 * 368
    running = [b.numel() for name, b in block.named_buffers() if "running" in name]
    assert sum(running) == 2 * 368
    assert block.output_channels == 256


def test_the_receptive_field_of_a_branch_is_its_kernel(rank: int) -> None:
    block = inception(rank, block_kwargs={})
    seen = []
    for branch in block.branches:
        x = torch.rand(1, 2, *[9] * rank, requires_grad=True)
        # The gradient of a maximum reaches one voxel: start from several.
        reach = 0
        for middle in itertools.product((3, 4, 5), repeat=rank):
            (gradient,) = torch.autograd.grad(branch(x)[(..., *middle)].sum(), x)
            at = gradient.abs().sum((0, 1)).nonzero()
            reach = max(reach, int((at - torch.tensor(middle)).abs().max()))
        seen.append(reach)
    assert seen == [0, 1, 2, 1]


@pytest.mark.parametrize("expansion", [1, 2, 4, 0.5])
@pytest.mark.parametrize("width", [8, 10, 33])
def test_expansion_is_exact(width: int, expansion: float) -> None:
    block = inception(2, width, expansion=expansion)
    assert block.output_channels == round(width * expansion)
    assert block(torch.randn(2, 2, 6, 6)).shape[1] == block.output_channels


def test_thin_axes_stay_thin() -> None:
    block = inception(3, kernel_size=[1, 3, 3])
    found = [m.kernel_size for m in block.modules() if isinstance(m, nn.Conv3d)]
    assert found == [(1, 1, 1), (1, 1, 1), (1, 3, 3), (1, 1, 1), (1, 5, 5), (1, 1, 1)]
    planes = torch.randn(1, 2, 3, 6, 6, requires_grad=True)
    block.eval()(planes)[:, :, 1].sum().backward()
    assert planes.grad[:, :, [0, 2]].abs().max() == 0
    assert planes.grad[:, :, 1].abs().max() > 0


@pytest.mark.parametrize("size", [(4, 8, 6), (5, 7, 9)])
def test_a_stride_pools_first(size: tuple[int, ...]) -> None:
    block = inception(3, stride=[1, 2, 2]).eval()
    x = torch.randn(1, 2, *size)
    pooled = torch.full((1, 2, size[0], -(-size[1] // 2), -(-size[2] // 2)), -torch.inf)
    for p in itertools.product(*(range(n) for n in size)):
        at = (..., p[0], p[1] // 2, p[2] // 2)
        pooled[at] = torch.maximum(pooled[at], x[(..., *p)])
    plain = inception(3).eval()
    plain.load_state_dict(block.state_dict())
    assert_close(block(x), plain(pooled))


def test_maps_are_those_of_the_convolutions(rank: int) -> None:
    block = inception(rank, stride=2)
    size = [4, 8, 6][:rank]
    assert block.compute_conv_feature_map_size(size) == convolution_outputs(
        block.eval(), torch.randn(1, 2, *size)
    )


def test_first_convolutions_read_the_image(rank: int) -> None:
    block = inception(rank)
    named = [block.get_submodule(name) for name in block.first_convolutions]
    readers = [m for m in block.modules() if isinstance(m, CONV[rank]) and m.in_channels == 2]
    assert [m.conv for m in named] == readers


def test_every_parameter_learns(rank: int) -> None:
    layers = {"norm_op": BATCH[rank], "norm_op_kwargs": {}, **RELU}
    assert at_rest(inception(rank, block_kwargs=layers), torch.randn(2, 2, *[6] * rank)) == set()


def test_large_values_stay_finite(rank: int) -> None:
    assert all_finite(inception(rank), 2, 2, *[6] * rank)


def test_too_few_channels() -> None:
    with pytest.raises(
        ValueError, match=r"expansion 0.25 of 8 channels leaves 2; .*larger expansion"
    ):
        inception(2, 8, expansion=0.25)
