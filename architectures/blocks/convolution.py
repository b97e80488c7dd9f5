"""Convolution, normalisation, dropout and nonlinearity, in this order (sij-fm-25d-attention-unet)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamic_network_architectures.building_blocks.helper import maybe_convert_scalar_to_list
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from architectures.layers import Layers


class Convolution(nn.Sequential):
    """``nonlin(drop(N(conv(x))))``, without the steps that ``layers`` has no class for.

    nnU-Net's own block drops before it normalises. Instance normalisation then returns its bias for a dropped
    channel; here a dropped channel stays 0.

    Shapes: (B, C_in, *S) -> (B, C_out, *ceil(S / stride)); S has the rank of ``layers``.

    >>> from architectures.layers import Layers
    >>> Convolution(2, 4, Layers(conv_op=nn.Conv2d, nonlin=nn.ReLU))
    Convolution(
      (0): Conv2d(2, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)
      (1): ReLU()
    )

    Args:
        input_channels: C_in.
        output_channels: C_out.
        layers: the layer types.
        kernel_size: odd; a number or one per axis.
        stride: a number or one per axis.
    """

    def __init__(
        self,
        input_channels: int,
        output_channels: int,
        layers: Layers,
        *,
        kernel_size: int | Sequence[int] = 3,
        stride: int | Sequence[int] = 1,
    ) -> None:
        kernel = list(maybe_convert_scalar_to_list(layers.conv_op, kernel_size))
        if any(k % 2 == 0 for k in kernel):
            raise ValueError(f"Convolution: kernel_size is {kernel}; every axis must be odd")
        padding = [k // 2 for k in kernel]
        steps = [
            layers.conv_op(
                input_channels, output_channels, kernel, stride, padding, bias=layers.conv_bias
            )
        ]
        if layers.norm_op is not None:
            steps.append(layers.norm(output_channels))
        if layers.dropout_op is not None:
            steps.append(layers.dropout())
        if layers.nonlin is not None:
            steps.append(layers.activation())
        super().__init__(*steps)
