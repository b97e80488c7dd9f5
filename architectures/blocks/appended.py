"""A stage's convolutions with a block after them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence


class Followed(nn.Module):
    """``follows(body(x))``.

    Args:
        body: the convolutions.
        follows: the block; keeps channels and size.
        stride: of the body, one an axis.
    """

    def __init__(self, body: Any, follows: Any, *, stride: Sequence[int]) -> None:
        super().__init__()
        self.body = body
        self.follows = follows
        self.stride = list(stride)

    def forward(self, x: Tensor) -> Tensor:
        return self.follows(self.body(x))

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> np.int64:
        """The body's maps and the block's, for one sample."""
        after = [n // s for n, s in zip(input_size, self.stride, strict=True)]
        return self.body.compute_conv_feature_map_size(
            input_size
        ) + self.follows.compute_conv_feature_map_size(after)
