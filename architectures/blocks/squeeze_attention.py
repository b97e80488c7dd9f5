"""Squeeze-and-attention: a map of weights from a half-sized view (Zhong et al. 2020, arXiv 1909.03402;
sij-fm-25d-attention-unet).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from architectures.blocks.convolution import Convolution
from architectures.blocks.scaling import averaged, enlarge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from architectures.layers import Layers


class SqueezeAttention(nn.Module):
    """``w * x + x``, where w is two convolutions of x averaged to half its size, enlarged to full size.

    ``w = up(N(conv(nonlin(drop(N(conv(pool(x))))))))`` through C // reduction channels. It has no sigmoid: a
    weight may be negative or above 1. Unlike in squeeze-and-excitation, every voxel has its own weights. In
    fp16 the result overflows before x does, because w is not bounded.

    Shapes: (B, C, *S) -> (B, C, *S); S has the rank of ``layers``.

    >>> from architectures.layers import Layers
    >>> squeeze = SqueezeAttention(8, Layers(conv_op=nn.Conv2d, nonlin=nn.ReLU))
    >>> squeeze(torch.zeros(1, 8, 5, 6)).shape
    torch.Size([1, 8, 5, 6])

    Args:
        channels: C.
        layers: the layer types; dropout and nonlinearity follow the first convolution only.
        kernel_size: odd; a number or one per axis. All axes are pooled, including those of kernel 1.
        reduction: ratio of C to the channels inside, 4 in the paper.
    """

    def __init__(
        self,
        channels: int,
        layers: Layers,
        *,
        kernel_size: int | Sequence[int] = 3,
        reduction: int = 4,
    ) -> None:
        super().__init__()
        if reduction < 1:
            raise ValueError(f"SqueezeAttention: reduction is {reduction}; it must be 1 or more")
        inside = max(1, channels // reduction)
        self.attend = nn.Sequential(
            Convolution(channels, inside, layers, kernel_size=kernel_size),
            Convolution(inside, channels, layers.without_activation(), kernel_size=kernel_size),
        )

    def weights(self, x: Tensor) -> Tensor:
        """The map w, of the shape of ``x``."""
        size = x.shape[2:]
        return enlarge(self.attend(averaged(x, self.pooled_size(size))), size)

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(x, self.weights(x), x)

    @staticmethod
    def pooled_size(size: Sequence[int]) -> list[int]:
        """Half of ``size``, rounded down; ``size`` itself if one voxel would remain, which cannot be normalised."""
        half = [max(1, n // 2) for n in size]
        return list(size) if all(n == 1 for n in half) else half
