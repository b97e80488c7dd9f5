from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from architectures.blocks.residual_unit import ResidualUnit
from architectures.instance_norm import without_view

from .conftest import NORM
from .probes import along_channels, at_rest, convolved, layers, normalised, scrambled


def unit(rank: int, inputs: int = 3, outputs: int = 4, **changes: Any) -> ResidualUnit:
    return ResidualUnit(inputs, outputs, layers(rank, changes), **changes)


@pytest.mark.parametrize("project", [True, False])
def test_equals_its_equation(rank: int, project: bool) -> None:
    first, second = [1, 3, 3][-rank:], [3, 1, 1][:rank]
    block = scrambled(
        unit(rank, 4, kernel_size=first, second_kernel=second, project=project, nonlin=nn.LeakyReLU)
    )
    assert (block.first[0].kernel_size, block.second[0].kernel_size) == (
        *map(tuple, (first, second)),
    )
    x = torch.randn(2, 4, *[4, 5, 6][:rank], dtype=torch.float64)
    y = normalised(convolved(x, block.first[0]), block.first[1])
    y = normalised(convolved(torch.where(y > 0, y, 0.01 * y), block.second[0]), block.second[1])
    if project:
        y = y + torch.einsum("oi,bi...->bo...", block.shortcut.weight.flatten(1), x)
        y = y + along_channels(block.shortcut.bias, x.ndim)
    else:
        y = y + x
    assert_close(block(x), torch.where(y > 0, y, 0.01 * y))


def test_the_second_kernel_defaults_to_the_first(rank: int) -> None:
    block = unit(rank, kernel_size=5)
    assert block.first[0].kernel_size == block.second[0].kernel_size == (5,) * rank


def test_in_plane_then_through_plane_covers_the_full_box() -> None:
    block = unit(
        3, kernel_size=[1, 3, 3], second_kernel=[3, 1, 1], norm_op=None, nonlin=nn.Softplus,
        nonlin_kwargs={},
    )  # fmt: skip
    x = torch.randn(1, 3, 5, 5, 5, requires_grad=True)
    block(x)[0, :, 2, 2, 2].sum().backward()
    expected = torch.zeros(5, 5, 5, dtype=torch.bool)
    expected[1:4, 1:4, 1:4] = True
    assert torch.equal(x.grad[0].abs().amax(0) > 0, expected)


def test_dropout_is_in_the_first_half_only() -> None:
    block = unit(2, dropout_op=nn.Dropout2d, dropout_op_kwargs={"p": 0.2})
    assert [type(m) for m in block.first][1:] == [without_view(NORM[2]), nn.Dropout2d, nn.ReLU]
    assert [type(m) for m in block.second][1:] == [without_view(NORM[2])]


def test_it_is_initially_a_shortcut_that_preserves_the_scale(rank: int) -> None:
    block = unit(rank, 256, 256)
    nn.init.kaiming_normal_(block.shortcut.weight)
    block.start()
    nn.init.zeros_(block.shortcut.bias)
    x = torch.randn(1, 256, *[6] * rank)
    y = block(x)
    assert_close(y, block.shortcut(x).clamp(min=0))
    assert block.shortcut(x).var().item() == pytest.approx(1, rel=0.1)
    identity = unit(rank, 4, project=False)
    identity.start()
    assert_close(identity(x[:, :4]), x[:, :4].clamp(min=0))


@pytest.mark.parametrize(
    "norm", [{"norm_op": None}, {"norm_op_kwargs": {"affine": False}}], ids=["none", "no-weight"]
)
def test_without_a_weight_in_the_norm_the_branch_is_active(norm: dict[str, Any]) -> None:
    block = unit(2, **norm)
    block.start()
    x = torch.randn(1, 3, 6, 6)
    assert (block(x) - block.shortcut(x).clamp(min=0)).abs().max() > 0.1


def test_every_parameter_learns_and_it_strides(rank: int) -> None:
    assert all(
        name.endswith("bias") for name in at_rest(unit(rank), torch.randn(2, 3, *[6] * rank))
    )
    assert unit(rank, stride=2)(torch.randn(2, 3, *[5] * rank)).shape == (2, 4, *[3] * rank)


def test_an_identity_shortcut_of_another_shape_is_an_error() -> None:
    for changes in ({"outputs": 4}, {"outputs": 3, "stride": [1, 2]}):
        with pytest.raises(ValueError, match=r"ResidualUnit: 3 channels become .*: set project"):
            unit(2, **changes, project=False)
