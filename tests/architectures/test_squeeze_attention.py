from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from architectures.blocks.squeeze_attention import SqueezeAttention

from .conftest import CONV, NORM
from .probes import RELU, at_rest, convolved, normalised, scrambled


def block(rank: int, channels: int = 8, **changes: object) -> SqueezeAttention:
    given = {"norm_op": NORM[rank], "norm_op_kwargs": {"affine": True}, **RELU, **changes}
    return SqueezeAttention(channels, conv_op=CONV[rank], **given)


def averaged(x: Tensor, half: list[int]) -> Tensor:
    """The mean of every window, of what of it lies on the map."""
    y = x.new_empty(*x.shape[:2], *(-(-n // h) for n, h in zip(x.shape[2:], half, strict=True)))
    for at in itertools.product(*(range(n) for n in y.shape[2:])):
        window = tuple(slice(i * h, i * h + h) for i, h in zip(at, half, strict=True))
        y[(..., *at)] = x[(..., *window)].flatten(2).mean(-1)
    return y


def stretched(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """Linear interpolation between centres of voxels, one axis after the other."""
    for axis, n in enumerate(size, start=2):
        m = x.shape[axis]
        weights = x.new_zeros(n, m)
        for i in range(n):
            at = max((i + 0.5) * m / n - 0.5, 0.0)
            low = int(at)
            weights[i, low] += 1 - (at - low)
            weights[i, min(low + 1, m - 1)] += at - low
        x = torch.movedim(torch.tensordot(x, weights, ([axis], [1])), -1, axis)
    return x


@pytest.mark.parametrize("odd", [False, True], ids=["even", "odd"])
@pytest.mark.parametrize("flat", [False, True], ids=["all-axes", "in-plane"])
def test_equals_its_equation(rank: int, flat: bool, odd: bool) -> None:
    kernel = [1 if flat else 3] + [3] * (rank - 1)
    squeeze = scrambled(block(rank, kernel_size=kernel))
    x = torch.randn(2, 8, *([5, 7, 3] if odd else [4, 6, 8])[:rank], dtype=torch.float64)
    down, norm_down, _, up, norm_up = squeeze.attend
    assert (down.out_channels, up.out_channels) == (2, 8)
    half = [1 if flat else 2] + [2] * (rank - 1)
    inside = normalised(convolved(averaged(x, half), down), norm_down).clamp(min=0)
    w = stretched(normalised(convolved(inside, up), norm_up), tuple(x.shape[2:]))
    assert_close(squeeze(x), w * x + x)
    assert w.min() < -1  # no sigmoid


def test_a_plane_apart_stays_apart() -> None:
    squeeze = SqueezeAttention(
        4, conv_op=nn.Conv3d, kernel_size=[1, 3, 3], norm_op=None, nonlin=nn.ReLU
    )
    x = torch.randn(1, 4, 3, 6, 6, requires_grad=True)
    squeeze(x)[:, :, 1].sum().backward()
    seen = x.grad.abs().amax((0, 1, 3, 4))
    assert (seen > 0).tolist() == [False, True, False]


def test_it_takes_a_map_of_one_plane(rank: int) -> None:
    x = torch.randn(2, 8, 1, *[6] * (rank - 1))
    squeeze = block(rank)
    assert squeeze(x).shape == x.shape
    assert squeeze.pooled_size(x.shape[2:]) == [1] + [3] * (rank - 1)


def test_every_parameter_learns(rank: int) -> None:
    x = torch.randn(2, 8, *[6] * rank)
    assert all(name.endswith("bias") for name in at_rest(block(rank), x))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
def test_large_values_pass(rank: int, dtype: torch.dtype) -> None:
    # At most 1e4: the weights, bounded by the normalisation alone, multiply it by up to 6.
    x = torch.rand(2, 8, *[6] * rank).mul(1e4).to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype):
        y = block(rank)(x)
    assert y.abs().max() > 1e4
    (y.float() * 1e-6).mean().backward()
    assert torch.isfinite(y).all()
    assert torch.isfinite(x.grad).all()


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"SqueezeAttention: kernel_size is \[2, 2\]; every axis"):
        block(2, kernel_size=2)
    with pytest.raises(ValueError, match="reduction is 0; it must be 1 or more"):
        block(2, reduction=0)
