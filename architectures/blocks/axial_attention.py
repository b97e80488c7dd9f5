"""Axial spatial attention: one map of weights from thin kernels (Zhao and Wu 2019, arXiv 1903.00179; paper 002)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from dynamic_network_architectures.building_blocks.helper import maybe_convert_scalar_to_list
from torch import Tensor, nn

from architectures.blocks.convolution import Convolution

if TYPE_CHECKING:
    from collections.abc import Sequence


class AxialAttention(nn.Module):
    """``w * x + x`` with one map w for all channels, which is an output too, so that it can be supervised.

    Two branches go along every axis along which ``kernel_size`` is more than 1, one after the other: the first
    from the first axis to the last, the second back. In plane these are the paper's two, k x 1 then 1 x k and the
    other way round: ``N(conv_1xk(nonlin(N(conv_kx1(x)))))`` with one channel at the end; three axes give three
    convolutions a branch. w is the sigmoid of their sum. An instance norm there, with no weight
    of its own, holds most of a branch within 2 of 0, so w is rarely sure.

    Shapes: (B, C, *S) -> (B, C, *S) and w (B, 1, *S) in 0 to 1; S has the rank of ``conv_op``.

    Args:
        channels: C.
        conv_op: ``nn.Conv2d`` or ``nn.Conv3d``.
        kernel_size: tells the axes: no convolution goes along those of size 1.
        conv_bias: bias of the convolutions.
        norm_op: normalisation class, or None.
        norm_op_kwargs: its arguments.
        nonlin: nonlinearity class, or None.
        nonlin_kwargs: its arguments.
        length: k, odd; 3 as in 002 (9 in Zhao and Wu).
        width: channels inside; C // 2 if None, as in both.
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
        nonlin: type[nn.Module] | None,
        nonlin_kwargs: dict[str, Any] | None = None,
        length: int = 3,
        width: int | None = None,
    ) -> None:
        super().__init__()
        if length < 1 or length % 2 == 0:
            raise ValueError(f"AxialAttention: length is {length}; it must be odd")
        inside = max(1, channels // 2) if width is None else width
        if inside < 1:
            raise ValueError(f"AxialAttention: width is {width}; it must be 1 or more")
        kernel = maybe_convert_scalar_to_list(conv_op, kernel_size)
        # Without an axis to go along, a 1x1 convolution is left.
        axes = [axis for axis, k in enumerate(kernel) if k > 1] or [0]
        reach = length if any(k > 1 for k in kernel) else 1

        def branch(order: list[int]) -> nn.Sequential:
            last = len(order) - 1
            return nn.Sequential(
                *(
                    Convolution(
                        inside if i else channels,
                        inside if i < last else 1,
                        conv_op=conv_op,
                        kernel_size=[reach if a == axis else 1 for a in range(len(kernel))],
                        conv_bias=conv_bias,
                        norm_op=norm_op,
                        norm_op_kwargs=norm_op_kwargs,
                        nonlin=nonlin if i < last else None,
                        nonlin_kwargs=nonlin_kwargs,
                    )
                    for i, axis in enumerate(order)
                )
            )

        orders = [axes, axes[::-1]] if len(axes) > 1 else [axes]
        self.branches = nn.ModuleList(branch(order) for order in orders)

    def weights(self, x: Tensor) -> Tensor:
        """The map w, shape (B, 1, *S)."""
        total = self.branches[0](x)
        for branch in self.branches[1:]:
            total = total + branch(x)
        return total.sigmoid()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        w = self.weights(x)
        return torch.addcmul(x, w, x), w
