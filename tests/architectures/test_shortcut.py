from __future__ import annotations

import torch
from dynamic_network_architectures.building_blocks.simple_conv_blocks import StackedConvBlocks
from torch import nn
from torch.testing import assert_close

from architectures.blocks.shortcut import Shortcut
from architectures.layers import Layers

from .probes import BATCH, all_finite, at_rest, convolution_outputs, layers, normalised, scrambled


def shortcut(rank: int, *, stride: object = 1, **changes: object) -> Shortcut:
    strides = [stride] * rank if isinstance(stride, int) else stride
    given = layers(rank, {"norm_op": BATCH[rank], "norm_op_kwargs": {}, **changes})
    body = StackedConvBlocks(2, given.conv_op, 3, 5, 3, strides, **given.arguments())
    return Shortcut(body, 3, 5, given, stride=stride)


def test_equals_body_plus_projection(rank: int) -> None:
    stride = [1, 2, 3][:rank]
    block = scrambled(shortcut(rank, stride=stride))
    x = torch.randn(2, 3, *[7] * rank, dtype=torch.float64)
    sampled = x[(..., *(slice(None, None, s) for s in stride))]
    conv = block.shortcut.conv
    projected = torch.einsum("oi,bin->bon", conv.weight.flatten(1), sampled.flatten(2))
    projected = (projected + conv.bias[:, None]).unflatten(2, sampled.shape[2:])
    expected = block.body(x) + normalised(projected, block.shortcut.norm)
    assert_close(block(x), expected)
    assert (expected < 0).any()  # no nonlinearity after the sum


def test_odd_sizes_and_strides(rank: int) -> None:
    for stride in (1, 2, [1, 2, 2][:rank]):
        strides = [stride] * rank if isinstance(stride, int) else stride
        size = [5, 7, 9][:rank]
        y = shortcut(rank, stride=stride)(torch.randn(2, 3, *size))
        assert y.shape == (2, 5, *(-(-n // s) for n, s in zip(size, strides, strict=True)))


def test_size_of_the_shortcut() -> None:
    """1x1 convolution with bias, batch norm: C_in C_out + C_out + 2 C_out."""
    block = shortcut(2)
    projection = sum(p.numel() for p in block.shortcut.parameters())
    assert projection == 3 * 5 + 5 + 2 * 5
    assert sum(p.numel() for p in shortcut(2, norm_op=None).shortcut.parameters()) == 3 * 5 + 5


def test_maps_are_those_of_the_convolutions(rank: int) -> None:
    block = shortcut(rank, stride=2)
    size = [4, 8, 6][:rank]
    assert block.compute_conv_feature_map_size(size) == convolution_outputs(
        block.eval(), torch.randn(1, 3, *size)
    )


def test_every_parameter_learns_and_large_values_stay_finite(rank: int) -> None:
    assert at_rest(shortcut(rank, conv_bias=False), torch.randn(2, 3, *[6] * rank)) == set()
    assert all_finite(shortcut(rank), 2, 3, *[6] * rank)


def test_any_body_that_counts_its_maps_can_be_wrapped() -> None:
    class Nothing(nn.Conv2d):
        def compute_conv_feature_map_size(self, input_size: list[int]) -> int:
            return 7

    block = Shortcut(Nothing(3, 5, 1), 3, 5, Layers(conv_op=nn.Conv2d))
    assert block.compute_conv_feature_map_size([4, 4]) == 7 + 5 * 16
    assert block.output_channels == 5
