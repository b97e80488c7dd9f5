from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from architectures.blocks.aspp import ASPP

from .conftest import CONV, NORM
from .probes import (
    BATCH,
    RELU,
    all_finite,
    at_rest,
    convolution_outputs,
    convolved,
    normalised,
    scrambled,
)


def aspp(rank: int, **changes: object) -> ASPP:
    kwargs = {
        "conv_op": CONV[rank],
        "kernel_size": [3] * rank,
        "norm_op": BATCH[rank],
        "norm_op_kwargs": {"affine": True},
        "dilations": (1, 2, 3),
        **RELU,
    }
    return ASPP(6, **kwargs | changes)


def written_out(block: ASPP, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Figure 2 up to the last normalisation: the concatenated branches, the merging weights, the mean's part."""
    rank = x.ndim - 2
    branches = [
        normalised(convolved(x, part[0]), part[1]).clamp(min=0)
        for part in (block.point, *block.dilated)
    ]
    mean = torch.stack([x[:, c].flatten(1).mean(1) for c in range(6)], 1)
    first, last = block.pooled[0], block.pooled[-1]
    whole = (mean @ first.weight.flatten(1).T + first.bias).clamp(min=0)
    branches.append(whole.view(*whole.shape, *[1] * rank) * torch.ones_like(branches[0]))
    weights = torch.cat([block.merge.weight, last.weight], 1).flatten(1)
    return torch.cat(branches, 1), weights, whole @ last.weight.flatten(1).T


def test_equals_figure_2(rank: int) -> None:
    block = scrambled(aspp(rank, conv_bias=True, dilations=(1, [2, 3, 4][:rank])))
    x = torch.randn(2, 6, *[7] * rank, dtype=torch.float64)
    branches, weights, _ = written_out(block, x)
    assert branches.shape[1] == 4 * block.width
    merged = torch.einsum("oi,bi...->bo...", weights, branches)
    merged = merged + block.merge.bias.view(1, -1, *[1] * rank)
    assert_close(block(x), normalised(merged, block.norm).clamp(min=0))


def test_under_instance_normalisation_the_mean_is_added_afterwards(rank: int) -> None:
    block = scrambled(aspp(rank, norm_op=NORM[rank]))
    x = torch.randn(2, 6, *[7] * rank, dtype=torch.float64)
    branches, weights, mean = written_out(block, x)
    merged = torch.einsum("oi,bi...->bo...", weights, branches)
    near = normalised(merged, block.norm)  # does not depend on the mean
    assert_close(block(x), (near + mean.view(2, 6, *[1] * rank)).clamp(min=0))


@pytest.mark.parametrize("norm", [BATCH, NORM], ids=["batch", "instance"])
def test_one_sample_trains(rank: int, norm: dict[int, type[nn.Module]]) -> None:
    """Batch norm of one sample removes the mean's branch in training; instance norm does not."""
    block = aspp(rank, norm_op=norm[rank]).train()
    still = at_rest(block, torch.randn(1, 6, *[6] * rank))
    assert all("pooled" in name for name in still) if norm is BATCH else not still


@pytest.mark.parametrize("norm", [BATCH, NORM], ids=["batch", "instance"])
def test_every_parameter_learns(rank: int, norm: dict[int, type[nn.Module]]) -> None:
    x = torch.randn(3, 6, *[6] * rank) + torch.arange(3.0).view(3, 1, *[1] * rank)
    assert at_rest(aspp(rank, norm_op=norm[rank], width=8), x) == set()


def test_size_with_half_the_channels_inside() -> None:
    block = ASPP(64, conv_op=nn.Conv2d, kernel_size=3, norm_op=nn.BatchNorm2d, nonlin=nn.ReLU)
    convolutions = 64 * 32 + 3 * 9 * 64 * 32 + (64 * 32 + 32) + 5 * 32 * 64
    norms = 2 * (4 * 32 + 64)
    assert sum(p.numel() for p in block.parameters()) == convolutions + norms
    assert [b[0].dilation for b in block.dilated] == [(6, 6), (12, 12), (18, 18)]


def test_thin_axes_stay_thin() -> None:
    block = aspp(3, kernel_size=[1, 3, 3], dilations=(2, [9, 1, 3]), width=5)
    assert [b[0].kernel_size for b in block.dilated] == [(1, 3, 3)] * 2
    assert [b[0].dilation for b in block.dilated] == [(1, 2, 2), (1, 1, 3)]
    assert block.merge.in_channels == 3 * 5
    assert block(torch.randn(2, 6, 1, 5, 6)).shape == (2, 6, 1, 5, 6)
    block.check_input_size([1, 5, 6])


def test_odd_sizes_and_small_maps_keep_their_size(rank: int) -> None:
    size = [5, 3, 4][:rank]
    assert aspp(rank, dilations=(6, 12, 18))(torch.randn(2, 6, *size)).shape == (2, 6, *size)


@pytest.mark.parametrize(
    ("n", "expected"), [(880, [6, 12, 18]), (36, [6, 12, 18]), (24, [4, 8, 12]), (6, [1, 2, 3])]
)
def test_dilations_shrink_in_proportion(n: int, expected: list[int]) -> None:
    block = aspp(2, dilations=None, map_size=[n, 100])
    assert block.dilations == [[d, p] for d, p in zip(expected, (6, 12, 18), strict=True)]


@pytest.mark.parametrize("n", range(2, 40))
def test_shrunken_dilations_leave_every_voxel_a_neighbour(n: int) -> None:
    block = aspp(2, dilations=None, map_size=[n, n])
    for d in {d for entry in block.dilations for d in entry}:
        assert all(v - d >= 0 or v + d < n for v in range(n))
    block.check_input_size([n, n])


def test_given_dilations_take_precedence_over_the_map() -> None:
    assert aspp(2, dilations=[5], map_size=[8, 8]).dilations == [[5, 5]]


def test_maps_are_those_of_the_convolutions(rank: int) -> None:
    block = aspp(rank, dilations=(1, 2))
    size = [4, 5, 6][:rank]
    assert block.compute_conv_feature_map_size(size) == convolution_outputs(
        block.eval(), torch.randn(1, 6, *size)
    )


def test_large_values_stay_finite(rank: int) -> None:
    assert all_finite(aspp(rank), 2, 6, *[6] * rank)


@pytest.mark.parametrize(
    "dilations", [(), (0,), (1.5,), (True,), ("6",), ([1, 2, 3],), ([1, -1],), (6, None)]
)
def test_bad_dilations(dilations: tuple[object, ...]) -> None:
    with pytest.raises(ValueError, match=r"ASPP: dilations are .*; expected one or more"):
        aspp(2, dilations=dilations)


def test_bad_sizes() -> None:
    with pytest.raises(
        ValueError, match=r"dilation 18 on a map of 12 voxels along axis 1; .*smaller dilations"
    ):
        aspp(2, dilations=(6, 18)).check_input_size([20, 12])
    with pytest.raises(ValueError, match="dilation 4 on a map of 4 voxels along axis 0"):
        aspp(3, dilations=(4,)).check_input_size([4, 5, 5])
    with pytest.raises(ValueError, match="width is 0"):
        aspp(2, width=0)
    with pytest.raises(ValueError, match=r"kernel_size is \[3, 3\]; expected a number or 3"):
        aspp(3, kernel_size=[3, 3])
