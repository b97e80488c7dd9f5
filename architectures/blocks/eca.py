"""Efficient channel attention (Wang et al. 2020, arXiv 1910.03151, section 3.2)."""

from __future__ import annotations

import math

from torch import Tensor, nn

from architectures.blocks.scaling import scale_channels


class EfficientChannelAttention(nn.Module):
    """Scale each channel by a gate from the means of adjacent channels.

    ``x * sigmoid(conv1d_k(mean(x)))``, one bias-free kernel of k weights along the channel axis.

    Shapes: (B, C, *S) -> (B, C, *S), S of any rank.

    >>> import torch
    >>> block = EfficientChannelAttention(64)
    >>> block.conv.kernel_size, block(torch.zeros(1, 64, 5, 5)).shape
    ((3,), torch.Size([1, 64, 5, 5]))

    Args:
        channels: C.
        kernel_size: k, odd; if None as in the paper, log2(C) / 2 + 1 / 2 or the next larger odd number.
    """

    def __init__(self, channels: int, *, kernel_size: int | None = None) -> None:
        super().__init__()
        if kernel_size is None:
            kernel_size = int(math.log2(channels) / 2 + 1 / 2)
            kernel_size += kernel_size % 2 == 0
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(
                f"EfficientChannelAttention: kernel_size is {kernel_size}; it must be odd"
            )
        self.conv = nn.Conv1d(1, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        means = x.flatten(2).mean(-1)
        gate: Tensor = self.conv(means.unsqueeze(1)).squeeze(1).sigmoid()
        return scale_channels(x, gate)
