from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from architectures.blocks.context import Context

from .probes import all_finite, at_rest, convolved, layers, normalised, scrambled
from .test_scaling import stretched


def block(rank: int, channels: int = 16, **changes: object) -> Context:
    return Context(channels, layers(rank, changes), **changes)


def largest(x: Tensor, window: int) -> Tensor:
    """The maximum of every window, cut to the map."""
    y = x.new_empty(*x.shape[:2], *(-(-n // window) for n in x.shape[2:]))
    for at in itertools.product(*(range(n) for n in y.shape[2:])):
        part = tuple(slice(i * window, (i + 1) * window) for i in at)
        y[(..., *at)] = x[(..., *part)].flatten(2).amax(-1)
    return y


@pytest.mark.parametrize("odd", [False, True], ids=["even", "odd"])
def test_equals_its_equation(rank: int, odd: bool) -> None:
    context = scrambled(block(rank))
    size = ((5, 7, 6) if odd else (8, 4, 4))[:rank]
    x = torch.randn(2, 16, *size, dtype=torch.float64)

    def v(y: Tensor, block: nn.Sequential) -> Tensor:
        return normalised(convolved(y, block[0]), block[1])

    def w(y: Tensor, block: nn.Sequential) -> Tensor:
        return v(y, block).clamp(min=0)

    t = w(x, context.reduce)
    assert t.shape[1] == 4
    a, b = w(t, context.enter_windows), w(t, context.enter_axes)
    by_window = [
        stretched(v(largest(a, p), conv), size)
        for p, conv in zip((1, 2, 4), context.over_windows, strict=True)
    ]
    by_axis = [
        v(b.amax(axis, keepdim=True), conv).expand_as(b)
        for axis, conv in enumerate(context.over_axes, start=2)
    ]
    a = w(torch.stack(by_window).sum(0).clamp(min=0), context.leave_windows)
    b = w(torch.stack(by_axis).sum(0).clamp(min=0), context.leave_axes)
    joined = (v(torch.cat([a, b], 1), context.join) + t).clamp(min=0)
    last = context.expand[1]
    assert last.bias is None
    assert_close(context(x), convolved(w(joined, context.expand[0]), last))


def test_kernels_are_the_plans_and_1_along_a_collapsed_axis() -> None:
    context = block(3, kernel_size=[1, 3, 5])
    assert [conv[0].kernel_size for conv in context.over_windows] == [(1, 3, 5)] * 3
    assert [conv[0].kernel_size for conv in context.over_axes] == [(1, 3, 5), (1, 1, 5), (1, 3, 1)]
    for points in (context.reduce, context.enter_windows, context.enter_axes, context.join):
        assert points[0].kernel_size == (1, 1, 1)


def test_it_has_the_published_number_of_parameters() -> None:
    context = block(3, 256, norm_op_kwargs={"affine": False})
    assert sum(p.numel() for p in context.parameters()) == 824_128


def test_dropout_is_where_the_nonlinearity_is() -> None:
    context = block(2, dropout_op=nn.Dropout2d, dropout_op_kwargs={"p": 0.2})
    dropping = [
        name
        for name, m in context.named_modules()
        if any(type(c) is nn.Dropout2d for c in m.children())
    ]
    assert dropping == [
        "reduce", "enter_windows", "leave_windows", "enter_axes", "leave_axes", "expand.0",
    ]  # fmt: skip


def test_the_receptive_field_reaches_the_ends_of_the_map(rank: int) -> None:
    """Four convolutions and a window of four reach at most 16 voxels; maxima over an axis reach all."""
    given = {
        "norm_op": None,
        "nonlin": nn.Softplus,
        "nonlin_kwargs": {},
        "kernel_size": [1, 1, 3][-rank:],
    }
    x = torch.randn(1, 16, *[1] * (rank - 1), 40, requires_grad=True)
    wide = torch.cat([x] * 3, 2)
    context = block(rank, **given)
    context(wide)[..., 0].sum().backward()
    reached = x.grad.abs().flatten(2).amax((0, 1)) > 0
    # The gradient of a maximum reaches one voxel per channel.
    assert reached[:3].all()
    assert reached[20:].any()


def seen_by_windows(context: Context, size: Sequence[int]) -> list[tuple[int, ...]]:
    sizes: list[tuple[int, ...]] = []
    for conv in context.over_windows:
        conv.register_forward_hook(lambda _m, inputs, _y: sizes.append(tuple(inputs[0].shape[2:])))
    y = context.train()(torch.randn(1, 16, *size))
    assert y.shape[2:] == tuple(size)
    return sizes


@pytest.mark.parametrize(
    ("size", "sizes"),
    [
        ((12, 12), [(12, 12), (6, 6), (3, 3)]),
        ((5, 9), [(5, 9), (3, 5), (2, 3)]),
        ((2, 8), [(2, 8), (1, 4), (1, 2)]),
        ((4, 4), [(4, 4), (2, 2), (2, 2)]),
        ((2, 2), [(2, 2)] * 3),
        ((1, 2), [(1, 2)] * 3),
        ((12, 12, 8), [(12, 12, 8), (6, 6, 4), (3, 3, 2)]),
        ((4, 4, 8), [(4, 4, 8), (2, 2, 4), (1, 1, 2)]),
        ((3, 1, 1), [(3, 1, 1), (2, 1, 1), (2, 1, 1)]),
    ],
)
def test_windows_fit_the_map_and_leave_more_than_one_voxel(
    size: tuple[int, ...], sizes: list[tuple[int, ...]]
) -> None:
    assert seen_by_windows(block(len(size)), size) == sizes


def test_every_parameter_learns_and_large_values_stay_finite(rank: int) -> None:
    size = [6] * rank
    assert all(name.endswith("bias") for name in at_rest(block(rank), torch.randn(2, 16, *size)))
    assert all_finite(block(rank), 2, 16, *size)


def test_invalid_arguments_are_named_in_the_error() -> None:
    with pytest.raises(ValueError, match=r"Context: windows are \[1, 0\]; expected one or more"):
        block(2, windows=[1, 0])
    with pytest.raises(ValueError, match=r"kernel_size is \[4, 4\]; every axis must be odd"):
        block(2, kernel_size=4)
    with pytest.raises(ValueError, match="Context: reduction is 0; it must be 1 or more"):
        block(2, reduction=0)
