from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from architectures.blocks.axial_attention import AxialAttention

from .probes import all_finite, at_rest, convolved, layers, normalised, scrambled


def block(rank: int, channels: int = 4, **changes: object) -> AxialAttention:
    return AxialAttention(channels, layers(rank, changes), **{"length": 5, **changes})


def two_branches(x: Tensor, attention: AxialAttention) -> Tensor:
    """The map in plane, from the paper's equation: k x 1 then 1 x k, and 1 x k then k x 1."""
    total = torch.zeros_like(x[:, :1])
    for tall_first, branch in zip((True, False), attention.branches, strict=True):
        (first, norm, _), (second, last_norm) = branch
        flat = (1,) * (x.ndim - 4)
        kernels = [(*flat, 5, 1), (*flat, 1, 5)]
        assert [first.kernel_size, second.kernel_size] == (kernels if tall_first else kernels[::-1])
        inside = normalised(convolved(x, first), norm).clamp(min=0)
        total += normalised(convolved(inside, second), last_norm)
    return 1 / (1 + torch.exp(-total))


def test_in_plane_it_equals_the_papers_equation(rank: int) -> None:
    attention = scrambled(block(rank, kernel_size=[1, 3, 3][-rank:]))
    x = torch.randn(2, 4, *[3, 6, 7][-rank:], dtype=torch.float64)
    w = two_branches(x, attention)
    assert w.shape[1] == 1
    assert attention.branches[0][0][0].out_channels == 2
    y, given = attention(x)
    assert_close(given, w)
    assert_close(y, w * x + x)


def test_in_3d_the_branches_convolve_along_all_axes_in_both_orders() -> None:
    attention = scrambled(block(3))
    x = torch.randn(1, 4, 4, 5, 3, dtype=torch.float64)
    total = torch.zeros_like(x[:, :1])
    for order, ((a, na, _), (b, nb, _), (c, nc)) in zip(
        ([0, 1, 2], [2, 1, 0]), attention.branches, strict=True
    ):
        longest = [max(range(3), key=lambda axis, m=m: m.kernel_size[axis]) for m in (a, b, c)]
        assert longest == order
        y = normalised(convolved(x, a), na).clamp(min=0)
        y = normalised(convolved(y, b), nb).clamp(min=0)
        total += normalised(convolved(y, c), nc)
    assert_close(attention(x)[1], torch.sigmoid(total))


def test_the_receptive_field_is_a_rectangle_in_plane() -> None:
    attention = block(3, kernel_size=[1, 3, 3], norm_op=None, nonlin=nn.Softplus, nonlin_kwargs={})
    x = torch.randn(1, 4, 3, 9, 9, requires_grad=True)
    attention(x)[1][0, 0, 1, 4, 4].backward()
    expected = torch.zeros(3, 9, 9, dtype=torch.bool)
    expected[1, 2:7, 2:7] = True
    assert torch.equal(x.grad[0].abs().amax(0) > 0, expected)


def test_without_an_axis_one_pointwise_convolution_remains() -> None:
    attention = block(2, kernel_size=[1, 1])
    assert [m.kernel_size for m in attention.modules() if isinstance(m, nn.Conv2d)] == [(1, 1)]
    y, w = attention(torch.randn(2, 4, 5, 5))
    assert (y.shape, w.shape) == ((2, 4, 5, 5), (2, 1, 5, 5))


def test_every_parameter_learns_and_large_values_stay_finite(rank: int) -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = block(rank)

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat(self.attention(x), 1)

    x = torch.randn(2, 4, *[6] * rank)
    assert all(name.endswith("bias") for name in at_rest(Both(), x))
    assert all_finite(Both(), *x.shape)


@pytest.mark.parametrize(("channels", "published"), [(64, 12_546), (32, 3_202)])
def test_by_default_it_has_the_published_number_of_parameters(
    channels: int, published: int
) -> None:
    attention = block(3, channels, kernel_size=[1, 3, 3], norm_op=None, length=3)
    assert sum(p.numel() for p in attention.parameters()) == published


def test_invalid_arguments_are_named_in_the_error() -> None:
    with pytest.raises(ValueError, match="AxialAttention: length is 4; it must be odd"):
        block(2, length=4)
    with pytest.raises(ValueError, match="width is 0; it must be 1 or more"):
        block(2, width=0)
