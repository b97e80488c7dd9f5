"""Transformer layers over the positions of a map (Vaswani et al. 2017, arXiv 1706.03762; normalisation first,
as in TransUNet, Chen et al. 2021, arXiv 2102.04306, eq. 2-3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor, nn

from architectures.blocks.attention import attend

if TYPE_CHECKING:
    from collections.abc import Sequence


class TransformerLayer(nn.Module):
    """One or several layers of self-attention and a feed-forward network; every position is a token.

    ``y = x + MHA(LN(x)); z = y + W2 gelu(W1 LN(y))``. Projections to and from the heads have a bias. There is no
    positional embedding: the layers are equivariant to permutations of the voxels.
    Memory grows with N, not N^2: the attention is fused.

    Shapes: (B, C, *S) -> (B, C, *S), S of any rank.

    >>> import torch
    >>> TransformerLayer(8, heads=2)(torch.zeros(1, 8, 4, 4)).shape
    torch.Size([1, 8, 4, 4])

    Args:
        channels: C.
        heads: attention heads.
        head_dim: width of a head; C // heads if None.
        hidden: width inside the feed-forward network; 4 C if None.
        depth: number of layers.
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 8,
        head_dim: int | None = None,
        hidden: int | None = None,
        depth: int = 1,
    ) -> None:
        super().__init__()
        for name, value in (
            ("heads", heads),
            ("head_dim", head_dim),
            ("hidden", hidden),
            ("depth", depth),
        ):
            if value is not None and value < 1:
                raise ValueError(f"TransformerLayer: {name} is {value}; it must be 1 or more")
        if head_dim is None and channels % heads:
            raise ValueError(
                f"TransformerLayer: {heads} heads do not divide {channels} channels; use a divisor of "
                f"{channels} or give head_dim"
            )
        self.channels = channels
        self.inside = heads * (channels // heads if head_dim is None else head_dim)
        self.hidden = 4 * channels if hidden is None else hidden
        self.layers = nn.ModuleList(
            [_Layer(channels, heads, self.inside, self.hidden) for _ in range(depth)]
        )

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2).contiguous()
        for layer in self.layers:
            tokens = layer(tokens)
        # A transposed map would pass its layout on to every layer that follows.
        y: Tensor = tokens.transpose(1, 2).reshape(x.shape).contiguous()
        return y

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> np.int64:
        """Elements that one sample keeps, in every layer: both normalised maps and both sums; query, key, value
        and the gathered map; the feed-forward network before and after its nonlinearity.
        """
        maps = 4 * self.channels + 4 * self.inside + 2 * self.hidden
        return np.prod([len(self.layers), maps, *input_size], dtype=np.int64)


class _Layer(nn.Module):
    """One layer; shapes (B, N, C) -> (B, N, C)."""

    def __init__(self, channels: int, heads: int, inside: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(channels)
        # One layer for query, key and value: the bias of a separate key layer would have no effect under the softmax.
        self.project = nn.Linear(channels, 3 * inside)
        self.merge = nn.Linear(inside, channels)
        self.forward_norm = nn.LayerNorm(channels)
        self.feed_forward = nn.Sequential(
            nn.Linear(channels, hidden), nn.GELU(), nn.Linear(hidden, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.project(self.attention_norm(x)).chunk(3, -1)
        x = x + self.merge(attend(query, key, value, heads=self.heads))
        y: Tensor = x + self.feed_forward(self.forward_norm(x))
        return y
