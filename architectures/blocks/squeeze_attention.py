"""Squeeze-and-attention: a map of weights from a half-sized view (Zhong et al. 2020, arXiv 1909.03402; paper 002)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from architectures.blocks.convolution import Convolution
from architectures.blocks.scaling import enlarge

if TYPE_CHECKING:
    from collections.abc import Sequence


class SqueezeAttention(nn.Module):
    """``w * x + x``, w being two convolutions of x averaged to half its size, brought back to full size.

    ``w = up(N(conv(nonlin(drop(N(conv(pool(x))))))))`` through C // reduction channels. There is no sigmoid: a
    weight may be negative or above 1. Unlike squeeze-and-excitation, every place has weights of its own. In
    fp16 the result overflows before x does, as w is not bounded.

    Shapes: (B, C, *S) -> (B, C, *S); S has the rank of ``conv_op``.

    Args:
        channels: C.
        conv_op: ``nn.Conv2d`` or ``nn.Conv3d``.
        kernel_size: odd; a number or one an axis. All axes are pooled, those of kernel 1 as well.
        conv_bias: bias of the convolutions.
        norm_op: normalisation class, or None.
        norm_op_kwargs: its arguments.
        dropout_op: dropout class, or None; after the first convolution only.
        dropout_op_kwargs: its arguments.
        nonlin: nonlinearity class, or None; likewise.
        nonlin_kwargs: its arguments.
        reduction: what C is divided by inside, 4 in the paper.
    """

    def __init__(
        self,
        channels: int,
        *,
        conv_op: type[nn.Module],
        kernel_size: int | Sequence[int] = 3,
        conv_bias: bool = True,
        norm_op: type[nn.Module] | None,
        norm_op_kwargs: dict[str, Any] | None = None,
        dropout_op: type[nn.Module] | None = None,
        dropout_op_kwargs: dict[str, Any] | None = None,
        nonlin: type[nn.Module] | None,
        nonlin_kwargs: dict[str, Any] | None = None,
        reduction: int = 4,
    ) -> None:
        super().__init__()
        if reduction < 1:
            raise ValueError(f"SqueezeAttention: reduction is {reduction}; it must be 1 or more")
        inside = max(1, channels // reduction)
        common: dict[str, Any] = {
            "conv_op": conv_op,
            "kernel_size": kernel_size,
            "conv_bias": conv_bias,
            "norm_op": norm_op,
            "norm_op_kwargs": norm_op_kwargs,
        }
        self.attend = nn.Sequential(
            Convolution(
                channels,
                inside,
                dropout_op=dropout_op,
                dropout_op_kwargs=dropout_op_kwargs,
                nonlin=nonlin,
                nonlin_kwargs=nonlin_kwargs,
                **common,
            ),
            Convolution(inside, channels, **common),
        )

    def weights(self, x: Tensor) -> Tensor:
        """The map w, of the shape of ``x``."""
        size = x.shape[2:]
        return enlarge(self.attend(F.interpolate(x, self.pooled_size(size), mode="area")), size)

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(x, self.weights(x), x)

    @staticmethod
    def pooled_size(size: Sequence[int]) -> list[int]:
        """Half of a map of ``size``, rounded down; all of it if that were one voxel, which no norm can take."""
        half = [max(1, n // 2) for n in size]
        return list(size) if all(n == 1 for n in half) else half
