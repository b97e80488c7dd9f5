"""A convolution with nonlinearity and no normalisation (bottleneck of the plain U-Net in
silveira2025-inception-dual).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence


class BareConvolution(nn.Module):
    """``drop(nonlin(conv(x)))`` with bias; the number of channels stays the same.

    Shapes: (B, C, *S) -> (B, C, *S); S has the rank of ``conv_op``.

    >>> import torch
    >>> BareConvolution(4, conv_op=nn.Conv2d, kernel_size=[1, 3])(torch.zeros(1, 4, 5, 5)).shape
    torch.Size([1, 4, 5, 5])

    Args:
        channels: C.
        conv_op: ``nn.Conv2d`` or ``nn.Conv3d``.
        kernel_size: odd, one per axis.
        nonlin: nonlinearity class, or None.
        nonlin_kwargs: its arguments.
        dropout: rate of the dropout of single elements.
    """

    def __init__(
        self,
        channels: int,
        *,
        conv_op: type[nn.Module],
        kernel_size: Sequence[int],
        nonlin: type[nn.Module] | None = nn.ReLU,
        nonlin_kwargs: dict[str, Any] | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        kernel = list(kernel_size)
        if any(k % 2 == 0 for k in kernel):
            raise ValueError(f"BareConvolution: kernel_size is {kernel}; every axis must be odd")
        self.conv = conv_op(channels, channels, kernel, padding=[k // 2 for k in kernel])
        self.nonlin = nn.Identity() if nonlin is None else nonlin(**(nonlin_kwargs or {}))
        self.dropout = nn.Dropout(dropout)
        self.channels = channels

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.dropout(self.nonlin(self.conv(x)))
        return y

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> np.int64:
        """Elements of the convolution's output for one sample."""
        return np.prod([self.channels, *input_size], dtype=np.int64)
