from __future__ import annotations

import torch
from torch import Tensor
from torch.testing import assert_close

from architectures.blocks.scaling import enlarge


def stretched(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """Linear interpolation with aligned corners, one axis after the other."""
    for axis, n in enumerate(size, start=2):
        m = x.shape[axis]
        weights = x.new_zeros(n, m)
        for i in range(n):
            at = i * (m - 1) / (n - 1) if n > 1 else 0.0
            low = min(int(at), max(m - 2, 0))
            weights[i, low] += 1 - (at - low)
            weights[i, min(low + 1, m - 1)] += at - low
        x = torch.movedim(torch.tensordot(x, weights, ([axis], [1])), -1, axis)
    return x


def test_it_is_linear_from_corner_to_corner(rank: int) -> None:
    x = torch.randn(2, 3, *[2, 1, 4][:rank], dtype=torch.float64)
    size = (5, 3, 9)[:rank]
    assert_close(enlarge(x, size), stretched(x, size))
    ramp = torch.arange(4.0).view(1, 1, 4, *[1] * (rank - 1))
    assert_close(enlarge(ramp, [7, 1, 1][:rank]).flatten(), torch.arange(7.0) / 2)


def test_a_map_of_that_size_is_returned_as_it_is(rank: int) -> None:
    x = torch.randn(1, 2, *[3] * rank)
    assert enlarge(x, [3] * rank) is x
