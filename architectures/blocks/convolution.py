"""Convolution, normalisation, dropout and nonlinearity in the order of paper 002, where dropout comes third."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dynamic_network_architectures.building_blocks.helper import maybe_convert_scalar_to_list
from torch import nn

from architectures.instance_norm import without_view

if TYPE_CHECKING:
    from collections.abc import Sequence


class Convolution(nn.Sequential):
    """``nonlin(drop(N(conv(x))))``, without the steps for which there is no class.

    nnU-Net's own block drops before it normalises, and an instance normalisation of a channel that was
    dropped is its bias again; here a dropped channel stays 0.

    Shapes: (B, C_in, *S) -> (B, C_out, *ceil(S / stride)); S has the rank of ``conv_op``.

    Args:
        input_channels: C_in.
        output_channels: C_out.
        conv_op: ``nn.Conv2d`` or ``nn.Conv3d``.
        kernel_size: odd; a number or one an axis.
        stride: likewise.
        conv_bias: bias of the convolution.
        norm_op: normalisation class, or None.
        norm_op_kwargs: its arguments.
        dropout_op: dropout class, or None.
        dropout_op_kwargs: its arguments.
        nonlin: nonlinearity class, or None.
        nonlin_kwargs: its arguments.
    """

    def __init__(
        self,
        input_channels: int,
        output_channels: int,
        *,
        conv_op: type[nn.Module],
        kernel_size: int | Sequence[int] = 3,
        stride: int | Sequence[int] = 1,
        conv_bias: bool = True,
        norm_op: type[nn.Module] | None = None,
        norm_op_kwargs: dict[str, Any] | None = None,
        dropout_op: type[nn.Module] | None = None,
        dropout_op_kwargs: dict[str, Any] | None = None,
        nonlin: type[nn.Module] | None = None,
        nonlin_kwargs: dict[str, Any] | None = None,
    ) -> None:
        kernel = list(maybe_convert_scalar_to_list(conv_op, kernel_size))
        if any(k % 2 == 0 for k in kernel):
            raise ValueError(f"Convolution: kernel_size is {kernel}; every axis must be odd")
        padding = [k // 2 for k in kernel]
        layers: list[nn.Module] = [
            conv_op(input_channels, output_channels, kernel, stride, padding, bias=conv_bias)
        ]
        if norm_op is not None:
            layers.append(without_view(norm_op)(output_channels, **(norm_op_kwargs or {})))
        if dropout_op is not None:
            layers.append(dropout_op(**(dropout_op_kwargs or {})))
        if nonlin is not None:
            layers.append(nonlin(**(nonlin_kwargs or {})))
        super().__init__(*layers)
