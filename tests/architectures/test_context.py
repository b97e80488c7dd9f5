from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from architectures.blocks.context import Context

from .conftest import CONV, NORM
from .probes import RELU, all_finite, at_rest, convolved, normalised, scrambled


def block(rank: int, channels: int = 4, **changes: object) -> Context:
    given = {"norm_op": NORM[rank], "norm_op_kwargs": {"affine": True}, **RELU, **changes}
    return Context(channels, conv_op=CONV[rank], **given)


@pytest.mark.parametrize("flat", [False, True], ids=["all-axes", "in-plane"])
def test_equals_its_equation(rank: int, flat: bool) -> None:
    context = scrambled(block(rank, kernel_size=[1 if flat else 3] + [3] * (rank - 1), width=3))
    x = torch.randn(2, 4, *[5, 6, 7][:rank], dtype=torch.float64)
    # The probe's own dilation is the convolution's; that each is as asked for is said here.
    assert [branch[0].dilation for branch in context.branches] == [
        (d,) * rank for d in (1, 1, 2, 3)
    ]
    assert [branch[0].kernel_size for branch in context.branches] == [
        (1,) * rank,
        *[(1 if flat else 3,) + (3,) * (rank - 1)] * 3,
    ]
    seen = [normalised(convolved(x, conv), norm).clamp(min=0) for conv, norm, _ in context.branches]
    conv, norm, _ = context.merge
    merged = normalised(torch.einsum("oi,bi...->bo...", conv.weight.flatten(1), torch.cat(seen, 1))
                        + conv.bias.view(1, -1, *[1] * rank), norm).clamp(min=0)  # fmt: skip
    assert_close(context(x), x + merged)


def test_axes_of_kernel_one_are_not_looked_along() -> None:
    context = block(3, kernel_size=[1, 3, 3], norm_op=None, nonlin=nn.Softplus, nonlin_kwargs={})
    x = torch.randn(1, 4, 3, 9, 9, requires_grad=True)
    context(x)[0, :, 1, 4, 4].sum().backward()
    seen = x.grad[0].abs().amax(0) > 0
    assert seen[[0, 2]].sum() == 0
    # A point and three rings of eight.
    assert seen[1].sum() == 25
    assert seen[1, 1, 1]
    assert not seen[1, 0].any()


def test_a_kernel_of_any_odd_size_keeps_the_map(rank: int) -> None:
    x = torch.randn(1, 4, *[6] * rank)
    assert block(rank, kernel_size=5)(x).shape == x.shape


def test_every_parameter_learns_and_large_values_pass(rank: int) -> None:
    size = [6] * rank
    assert all(name.endswith("bias") for name in at_rest(block(rank), torch.randn(2, 4, *size)))
    assert all_finite(block(rank), 2, 4, *size)


def test_a_dilation_that_leaves_the_map_is_refused() -> None:
    context = block(3)
    context.check_input_size((2, 3, 4))
    with pytest.raises(ValueError, match=r"Context: dilation 3 on a map of \(3, 3, 3\) voxels"):
        context.check_input_size((3, 3, 3))
    with pytest.raises(ValueError, match="dilation 3"):
        block(3, kernel_size=[1, 3, 3]).check_input_size((9, 3, 3))
    block(3, dilations=[1]).check_input_size((1, 1, 1))


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"Context: dilations are \[1, 0\]; one or more from 1"):
        block(2, dilations=[1, 0])
    with pytest.raises(ValueError, match=r"kernel_size is \[4, 4\]; every axis must be odd"):
        block(2, kernel_size=4)
    with pytest.raises(ValueError, match="width is 0; it must be 1 or more"):
        block(2, width=0)
