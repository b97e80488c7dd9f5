"""Dual attention: position and channel attention in parallel (yan2025-mag-unet, section 1.3, eq. 1-8).

The logits of both branches are unscaled inner products. They overflow fp16 (in the channel branch as soon
as rms(x) > sqrt(65504 / N)), so both are computed in fp32 even under autocast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from architectures.blocks.attention import attend_positions, in_float32

if TYPE_CHECKING:
    from collections.abc import Sequence


class PositionAttention(nn.Module):
    """Every position gathers features from similar positions (PAM, eq. 3-5).

    With B, C, D the 1x1 projections of A and positions i, j:
    ``E_j = alpha * sum_i softmax_i(B_i . C_j) D_i + A_j``. Initially alpha = 0 and the block is the identity.
    Memory grows with N, not N^2: the attention is fused.

    Shapes: (B, C, *S) -> (B, C, *S); S has the rank of ``conv_op``.
    """

    def __init__(self, channels: int, *, conv_op: type[nn.Module] = nn.Conv3d) -> None:
        super().__init__()
        self.key = conv_op(channels, channels, 1)
        self.query = conv_op(channels, channels, 1)
        self.value = conv_op(channels, channels, 1)
        self.alpha = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        key, query, value = (p(x).flatten(2) for p in (self.key, self.query, self.value))
        return self.alpha * in_float32(attend_positions, query, key, value).view_as(x) + x


def _attend_channels(x: Tensor) -> Tensor:
    """X A with X = softmax(A A^T) over the last axis, for A of shape (B, C, N)."""
    return torch.softmax(x @ x.transpose(1, 2), dim=-1) @ x


class ChannelAttention(nn.Module):
    """Every channel gathers features from similar channels (CAM, eq. 6-8).

    ``E_j = beta * sum_i softmax_i(A_j . A_i) A_i + A_j``. Initially beta = 0 and the block is the identity.

    Shapes: (B, C, *S) -> (B, C, *S), S of any rank.
    """

    def __init__(self) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.beta * in_float32(_attend_channels, x.flatten(2)).view_as(x) + x


class DualAttention(nn.Module):
    """Position and channel attention, mixed by two learned weights (DA-Block, eq. 1-2).

    ``softmax(w)_1 PAM(A) + softmax(w)_2 CAM(A)``. Initially w = 0 and the block is the identity.

    Shapes: (B, C, *S) -> (B, C, *S); S has the rank of ``conv_op``.

    >>> x = torch.rand(1, 4, 3, 3)
    >>> torch.allclose(DualAttention(4, conv_op=nn.Conv2d)(x), x)
    True

    Args:
        channels: C.
        conv_op: ``nn.Conv2d`` or ``nn.Conv3d``, for PAM's projections.
    """

    def __init__(self, channels: int, *, conv_op: type[nn.Module] = nn.Conv3d) -> None:
        super().__init__()
        self.position = PositionAttention(channels, conv_op=conv_op)
        self.channel = ChannelAttention()
        self.channels = channels
        self.mix = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        weight = self.mix.softmax(0)
        y: Tensor = weight[0] * self.position(x) + weight[1] * self.channel(x)
        return y

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> np.int64:
        """Elements that one sample keeps: three projections and the result of each branch."""
        return np.prod([5 * self.channels, *input_size], dtype=np.int64)
