"""Multi-scale feature fusion on the shallow stage (MFF, yan2025-mag-unet, section 1.2, fig. 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from dynamic_network_architectures.building_blocks.simple_conv_blocks import (
    ConvDropoutNormReLU,
    StackedConvBlocks,
)
from torch import Tensor, nn

from architectures.memory_format import convolve_all

if TYPE_CHECKING:
    from collections.abc import Sequence


def branch_widths(channels: int, scales: Sequence[int]) -> list[int]:
    """Divide ``channels`` among the branches: equal shares, the rest to the branch nearest to scale 3.

    Shares are multiples of 8 if possible, because a 5^3 convolution to 10 channels costs twice as much as one
    to 8. The paper does not give the widths.

    >>> branch_widths(32, [1, 3, 5])
    [8, 16, 8]
    """
    if len(scales) > channels:
        raise ValueError(
            f"MFF: {len(scales)} branches need at least as many channels, there are {channels}"
        )
    unit = 8 if channels >= 8 * len(scales) else 1
    widths = [channels // len(scales) // unit * unit] * len(scales)
    nearest = min(range(len(scales)), key=lambda i: abs(scales[i] - 3))
    widths[nearest] += channels - sum(widths)
    return widths


class MultiScaleFusion(nn.Module):
    """A shared convolution, then parallel convolutions of several sizes, concatenated.

    It replaces the first two convolutions of the first stage. Normalisation and nonlinearity follow the
    concatenation once: per channel this equals one after each branch. The paper max-pools each branch before
    the concatenation; here the next stage strides instead, as nnU-Net planned.

    Shapes: (B, C_in, *S) -> (B, C_out, *S / stride).

    >>> block = MultiScaleFusion(1, 8, conv_op=nn.Conv2d, kernel_size=[3, 3])
    >>> block(torch.zeros(1, 1, 6, 6)).shape
    torch.Size([1, 8, 6, 6])

    Args:
        input_channels: C_in.
        output_channels: C_out, shared among the branches by ``branch_widths``.
        conv_op: ``nn.Conv2d`` or ``nn.Conv3d``.
        kernel_size: the plan's kernel of the stage; axes of size 1 stay 1 in every branch.
        stride: of the shared convolution.
        scales: kernel sizes of the branches, odd (paper, Table 3: 1, 3, 5 is best).
        n_convs: number of convolutions that it replaces; beyond 2, plain convolutions follow.
        block_kwargs: bias, norm, dropout and nonlinearity as in nnU-Net's convolution block.
    """

    def __init__(
        self,
        input_channels: int,
        output_channels: int,
        *,
        conv_op: type[nn.Module] = nn.Conv3d,
        kernel_size: Sequence[int] = (3, 3, 3),
        stride: int | Sequence[int] = 1,
        scales: Sequence[int] = (1, 3, 5),
        n_convs: int = 2,
        block_kwargs: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if not scales or any(k < 1 or k % 2 == 0 for k in scales):
            raise ValueError(f"MFF: scales are {list(scales)}; expected one or more odd sizes")
        common = dict(block_kwargs or {})
        self.shared = ConvDropoutNormReLU(
            conv_op, input_channels, output_channels, kernel_size, stride, **common
        )
        self.branches = nn.ModuleList()
        for width, scale in zip(branch_widths(output_channels, scales), scales, strict=True):
            size = [1 if k == 1 else scale for k in kernel_size]
            self.branches.append(
                conv_op(
                    output_channels,
                    width,
                    size,
                    padding=[k // 2 for k in size],
                    bias=common.get("conv_bias", False),
                )
            )
        # nnU-Net's own block (dropout, norm, nonlinearity in its order) without its convolution.
        tail = ConvDropoutNormReLU(conv_op, 1, output_channels, 1, 1, **common).all_modules[1:]
        self.fuse = nn.Sequential(*tail)
        self.more = (
            StackedConvBlocks(
                n_convs - 2, conv_op, output_channels, output_channels, kernel_size, 1, **common
            )
            if n_convs > 2
            else nn.Identity()
        )
        self.depth = max(n_convs, 2)
        # Pretrained weights for another number of image channels are adapted here.
        self.first_convolutions = ("shared",)
        self.output_channels = output_channels
        self.stride = self.shared.stride

    def forward(self, x: Tensor) -> Tensor:
        x = self.shared(x)
        branches: Any = self.branches
        y: Tensor = self.more(self.fuse(torch.cat(convolve_all(branches, x), 1)))
        return y

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> np.int64:
        """Elements of all convolution outputs for one sample, as nnU-Net's planner counts them."""
        size = [i // s for i, s in zip(input_size, self.stride, strict=True)]
        return np.prod([self.depth, self.output_channels, *size], dtype=np.int64)
