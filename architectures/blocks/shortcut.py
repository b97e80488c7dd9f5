"""Projection shortcut around convolutions (ResUNet, Zhang et al. 2018, arXiv 1711.10684; paper 003, Table 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from dynamic_network_architectures.building_blocks.simple_conv_blocks import ConvDropoutNormReLU
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence


class Shortcut(nn.Module):
    """``body(x) + N(conv_1(x))``: a strided 1x1 convolution and a normalisation beside the body.

    Nothing follows the sum: the body ends with its nonlinearity as it is.

    Shapes: (B, C_in, *S) -> (B, C_out, *ceil(S / stride)), as the body's.

    Args:
        body: the convolutions; must tell ``compute_conv_feature_map_size``.
        input_channels: C_in.
        output_channels: C_out of the body.
        conv_op: ``nn.Conv2d`` or ``nn.Conv3d``.
        stride: of the body; a number or one an axis.
        norm_op: normalisation class, or None.
        norm_op_kwargs: its arguments.
        conv_bias: bias of the 1x1 convolution.
    """

    def __init__(
        self,
        body: nn.Module,
        input_channels: int,
        output_channels: int,
        *,
        conv_op: type[nn.Module],
        stride: int | Sequence[int] = 1,
        norm_op: type[nn.Module] | None,
        norm_op_kwargs: dict[str, Any] | None = None,
        conv_bias: bool,
    ) -> None:
        super().__init__()
        self.body: Any = body
        self.shortcut = ConvDropoutNormReLU(
            conv_op, input_channels, output_channels, 1, stride, conv_bias, norm_op, norm_op_kwargs
        )
        self.output_channels = output_channels

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.shortcut(x)

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> np.int64:
        """Elements of all convolution outputs for one sample: the body's and the shortcut's."""
        beside = self.shortcut.compute_conv_feature_map_size(input_size)
        return self.body.compute_conv_feature_map_size(input_size) + beside
