"""Shared by the attention blocks: fused attention over all positions, and arithmetic that overflows fp16."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Callable


def outside_autocast(
    compute: Callable[..., Tensor], *tensors: Tensor, dtype: torch.dtype
) -> Tensor:
    """Run ``compute`` outside autocast in ``dtype`` and return its result in the dtype of the first tensor."""
    with torch.autocast(tensors[0].device.type, enabled=False):
        return compute(*(t.to(dtype) for t in tensors)).to(tensors[0].dtype)


def in_float32(compute: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """Run ``compute`` outside autocast in at least fp32 and return its result in the dtype of the first tensor."""
    at_least = torch.promote_types(tensors[0].dtype, torch.float32)
    return outside_autocast(compute, *tensors, dtype=at_least)


def attend(
    query: Tensor, key: Tensor, value: Tensor, *, heads: int = 1, scale: float | None = None
) -> Tensor:
    """Fused attention in each head: ``E_j = sum_i softmax_i(scale query_j . key_i) value_i``.

    Query, key and value must have the same width, or torch materialises the N x N matrix.

    Shapes: three times (B, N, C) -> (B, N, C); each head has C / heads.

    Args:
        query: one per position j.
        key: one per position i.
        value: one per position i.
        heads: equal parts of C that attend independently.
        scale: of the logits; 1 / sqrt(C / heads) if None.
    """
    # Fused kernels require contiguous memory and a head axis.
    q, k, v = (
        t.reshape(*t.shape[:2], heads, -1).transpose(1, 2).contiguous() for t in (query, key, value)
    )
    return F.scaled_dot_product_attention(q, k, v, scale=scale).transpose(1, 2).flatten(2)


def attend_positions(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """``attend`` with one head and unscaled logits, for maps of shape (B, C, N)."""
    by_position = (t.transpose(1, 2) for t in (query, key, value))
    return attend(*by_position, scale=1.0).transpose(1, 2)
