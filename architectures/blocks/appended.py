"""The convolutions of a stage, followed by a block."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence


class Followed(nn.Module):
    """``follows(body(x))``.

    >>> import torch
    >>> from architectures.blocks.eca import EfficientChannelAttention
    >>> both = Followed(nn.Conv2d(1, 4, 3, 2, 1), EfficientChannelAttention(4), stride=[2, 2])
    >>> both(torch.zeros(1, 1, 8, 8)).shape
    torch.Size([1, 4, 4, 4])

    Args:
        body: the convolutions.
        follows: the block; preserves channels and size.
        stride: of the body, one per axis.
    """

    def __init__(self, body: Any, follows: Any, *, stride: Sequence[int]) -> None:
        super().__init__()
        self.body = body
        self.follows = follows
        self.stride = list(stride)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.follows(self.body(x))
        return y

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> np.int64:
        """Elements of the body's maps and the block's, for one sample."""
        after = [n // s for n, s in zip(input_size, self.stride, strict=True)]
        total: np.int64 = self.body.compute_conv_feature_map_size(input_size)
        total += self.follows.compute_conv_feature_map_size(after)
        return total
