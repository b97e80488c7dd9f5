from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from architectures.blocks.attention import attend, attend_positions, in_float32, outside_autocast


@pytest.mark.parametrize(("heads", "scale"), [(1, 1.0), (2, 0.3), (3, None)])
def test_attend_is_a_softmax_over_keys_in_each_head(heads: int, scale: float | None) -> None:
    query, key, value = (torch.randn(2, 5, 6, dtype=torch.float64) for _ in range(3))
    width = 6 // heads
    expected = torch.empty_like(query)
    for b in range(2):
        for h in range(heads):
            own = slice(h * width, (h + 1) * width)
            for j in range(5):
                logits = torch.stack([query[b, j, own] @ key[b, i, own] for i in range(5)])
                weights = torch.exp(logits * (width**-0.5 if scale is None else scale))
                weights = weights / weights.sum()
                expected[b, j, own] = sum(weights[i] * value[b, i, own] for i in range(5))
    assert_close(attend(query, key, value, heads=heads, scale=scale), expected)


def test_attend_positions_is_unscaled_and_preserves_the_shape() -> None:
    query, key, value = (torch.randn(2, 3, 7, dtype=torch.float64) for _ in range(3))
    weights = torch.softmax(torch.einsum("bci,bcj->bij", key, query), 1)
    assert_close(attend_positions(query, key, value), torch.einsum("bci,bij->bcj", value, weights))


def test_in_float32_leaves_autocast_and_restores_the_dtype() -> None:
    seen = []

    def square(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        seen.append((a @ b).dtype)
        return (a @ b) / 1e8

    a = torch.full((2, 2), 1e4, dtype=torch.float16)
    with torch.autocast("cpu", dtype=torch.float16):
        y = in_float32(square, a, a)
    assert seen == [torch.float32]
    assert y.dtype == torch.float16
    assert_close(y, torch.full_like(y, 2))
    assert in_float32(square, a.double(), a.double()).dtype == torch.float64


def test_outside_autocast_computes_in_the_given_dtype() -> None:
    linear = torch.nn.Linear(2, 2)
    x = torch.ones(1, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = linear(x)
        y = outside_autocast(lambda t: linear(t) * 1, x.bfloat16(), dtype=torch.float32)
        exact = outside_autocast(linear, x, dtype=torch.float32)
    assert inside.dtype == y.dtype == torch.bfloat16
    assert_close(exact, x @ linear.weight.T + linear.bias, rtol=0, atol=1e-6)
    half = linear.bfloat16()
    assert outside_autocast(half, x, dtype=half.weight.dtype).dtype == torch.float32
