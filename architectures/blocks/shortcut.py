"""Projection shortcut around convolutions (ResUNet, Zhang et al. 2018, arXiv 1711.10684;
silveira2025-inception-dual, Table 8).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from dynamic_network_architectures.building_blocks.simple_conv_blocks import ConvDropoutNormReLU
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from architectures.layers import Layers


class Shortcut(nn.Module):
    """``body(x) + N(conv_1(x))``: a strided 1x1 convolution and a normalisation parallel to the body.

    Nothing follows the sum; the body keeps its final nonlinearity.

    Shapes: (B, C_in, *S) -> (B, C_out, *ceil(S / stride)), as the body's.

    >>> import torch
    >>> from architectures.layers import Layers
    >>> around = Shortcut(nn.Conv2d(2, 4, 3, padding=1), 2, 4, Layers(conv_op=nn.Conv2d))
    >>> around(torch.zeros(1, 2, 5, 5)).shape
    torch.Size([1, 4, 5, 5])

    Args:
        body: the convolutions; compute_conv_feature_map_size requires the method of that name.
        input_channels: C_in.
        output_channels: C_out of the body.
        layers: the layer types; convolution, bias and normalisation are used.
        stride: of the body; a number or one per axis.
    """

    def __init__(
        self,
        body: nn.Module,
        input_channels: int,
        output_channels: int,
        layers: Layers,
        *,
        stride: int | Sequence[int] = 1,
    ) -> None:
        super().__init__()
        self.body: Any = body
        self.shortcut = ConvDropoutNormReLU(
            layers.conv_op,
            input_channels,
            output_channels,
            1,
            stride,
            layers.conv_bias,
            layers.norm_op,
            layers.norm_op_kwargs,
        )
        self.output_channels = output_channels

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x) + self.shortcut(x)
        return y

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> np.int64:
        """Elements of all convolution outputs for one sample: the body's and the shortcut's."""
        total: np.int64 = self.shortcut.compute_conv_feature_map_size(input_size)
        total += self.body.compute_conv_feature_map_size(input_size)
        return total
