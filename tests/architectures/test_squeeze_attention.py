from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from architectures.blocks.squeeze_attention import SqueezeAttention
from architectures.instance_norm import without_view

from .conftest import NORM
from .probes import at_rest, convolved, layers, normalised, scrambled
from .test_scaling import stretched


def block(rank: int, channels: int = 8, **changes: object) -> SqueezeAttention:
    return SqueezeAttention(channels, layers(rank, changes), **changes)


def averaged(x: Tensor, size: list[int]) -> Tensor:
    """Means over windows that cover the map; they overlap along an axis of odd size."""
    y = x.new_empty(*x.shape[:2], *size)
    for at in itertools.product(*(range(n) for n in size)):
        window = [
            slice(i * n // m, -(-(i + 1) * n // m))
            for i, n, m in zip(at, x.shape[2:], size, strict=True)
        ]
        y[(..., *at)] = x[(..., *window)].flatten(2).mean(-1)
    return y


@pytest.mark.parametrize("odd", [False, True], ids=["even", "odd"])
@pytest.mark.parametrize("flat", [False, True], ids=["all-axes", "in-plane"])
def test_equals_its_equation(rank: int, flat: bool, odd: bool) -> None:
    kernel = [1 if flat else 3] + [3] * (rank - 1)
    squeeze = scrambled(block(rank, kernel_size=kernel))
    x = torch.randn(2, 8, *([5, 7, 3] if odd else [4, 6, 8])[:rank], dtype=torch.float64)
    (down, norm_down, _), (up, norm_up) = squeeze.attend
    assert (down.out_channels, up.out_channels) == (2, 8)
    assert down.kernel_size == up.kernel_size == tuple(kernel)
    half = ([2, 3, 1] if odd else [2, 3, 4])[:rank]
    inside = normalised(convolved(averaged(x, half), down), norm_down).clamp(min=0)
    w = stretched(normalised(convolved(inside, up), norm_up), tuple(x.shape[2:]))
    assert_close(squeeze(x), w * x + x)
    assert w.min() < -1  # no sigmoid


def test_dropout_comes_after_the_first_norm_only() -> None:
    first, second = block(2, dropout_op=nn.Dropout2d, dropout_op_kwargs={"p": 0.2}).attend
    assert [type(m) for m in first][1:] == [without_view(NORM[2]), nn.Dropout2d, nn.ReLU]
    assert [type(m) for m in second][1:] == [without_view(NORM[2])]


def test_pooling_keeps_axes_of_size_1_and_more_than_one_voxel(rank: int) -> None:
    tail = [6] * (rank - 1)
    assert block(rank).pooled_size([1, *tail]) == [1] + [3] * (rank - 1)
    for size in ([1, *tail], [2] * rank, [3] * rank, [1] * (rank - 1) + [3]):
        x = torch.randn(1, 8, *size)
        assert block(rank).train()(x).shape == x.shape
    assert block(rank).pooled_size([3] * rank) == [3] * rank


def test_every_parameter_learns(rank: int) -> None:
    x = torch.randn(2, 8, *[6] * rank)
    assert all(name.endswith("bias") for name in at_rest(block(rank), x))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
def test_large_values_stay_finite(rank: int, dtype: torch.dtype) -> None:
    # At most 1e4: the weights, bounded only by the normalisation, multiply it by up to 6.
    x = torch.rand(2, 8, *[6] * rank).mul(1e4).to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype):
        y = block(rank)(x)
    assert y.abs().max() > 1e4
    (y.float() * 1e-6).mean().backward()
    assert torch.isfinite(y).all()
    assert torch.isfinite(x.grad).all()


def test_invalid_arguments_are_named_in_the_error() -> None:
    with pytest.raises(ValueError, match=r"kernel_size is \[2, 2\]; every axis must be odd"):
        block(2, kernel_size=2)
    with pytest.raises(ValueError, match="SqueezeAttention: reduction is 0; it must be 1 or more"):
        block(2, reduction=0)
