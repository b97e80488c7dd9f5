"""Context block at the bottleneck: dilated convolutions side by side, added to what they see (paper 002)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from dynamic_network_architectures.building_blocks.helper import maybe_convert_scalar_to_list
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence


class Context(nn.Module):
    """``x + relu(N(conv_1([branches])))``: a 1x1 convolution and one convolution a dilation, each with N and relu.

    The paper's text has no equation for it. The branches are those of the pyramid that its axial attention
    was published with (Zhao and Wu 2019, arXiv 1903.00179: 1x1 and dilations 3, 5, 7 on large maps), with
    dilations for a bottleneck of a few voxels. No branch takes the mean of the map: one value a channel is
    more than an instance normalisation can take.

    Shapes: (B, C, *S) -> (B, C, *S); S has the rank of ``conv_op``.

    Args:
        channels: C.
        conv_op: ``nn.Conv2d`` or ``nn.Conv3d``.
        kernel_size: the plan's kernel of the stage; axes of size 1 stay 1.
        norm_op: normalisation class, or None.
        norm_op_kwargs: its arguments.
        nonlin: nonlinearity class, or None.
        nonlin_kwargs: its arguments.
        conv_bias: bias of the convolutions.
        dilations: one branch each.
        width: channels of each branch; C // 2 if None.
    """

    def __init__(
        self,
        channels: int,
        *,
        conv_op: type[nn.Module],
        kernel_size: int | Sequence[int] = 3,
        norm_op: type[nn.Module] | None,
        norm_op_kwargs: dict[str, Any] | None = None,
        nonlin: type[nn.Module] | None,
        nonlin_kwargs: dict[str, Any] | None = None,
        conv_bias: bool = True,
        dilations: Sequence[int] = (1, 2, 3),
        width: int | None = None,
    ) -> None:
        super().__init__()
        if not dilations or any(d < 1 for d in dilations):
            raise ValueError(
                f"Context: dilations are {list(dilations)}; one or more from 1 are wanted"
            )
        inside = max(1, channels // 2) if width is None else width
        if inside < 1:
            raise ValueError(f"Context: width is {width}; it must be 1 or more")
        kernel = list(maybe_convert_scalar_to_list(conv_op, kernel_size))
        if any(k % 2 == 0 for k in kernel):
            raise ValueError(f"Context: kernel_size is {kernel}; every axis must be odd")

        def convolution(
            inputs: int, outputs: int, size: list[int], dilation: int = 1
        ) -> nn.Sequential:
            padding = [dilation * (k // 2) for k in size]
            layers: list[nn.Module] = [
                conv_op(inputs, outputs, size, padding=padding, dilation=dilation, bias=conv_bias)
            ]
            if norm_op is not None:
                layers.append(norm_op(outputs, **(norm_op_kwargs or {})))
            if nonlin is not None:
                layers.append(nonlin(**(nonlin_kwargs or {})))
            return nn.Sequential(*layers)

        point = [1] * len(kernel)
        self.branches = nn.ModuleList([convolution(channels, inside, point)])
        self.branches.extend(convolution(channels, inside, kernel, d) for d in dilations)
        self.merge = convolution(len(self.branches) * inside, channels, point)
        self.dilations, self.wide = list(dilations), [k > 1 for k in kernel]

    def forward(self, x: Tensor) -> Tensor:
        return x + self.merge(torch.cat([branch(x) for branch in self.branches], 1))

    def check_input_size(self, size: Sequence[int]) -> None:
        """Raise if a branch would see nothing but its middle tap on a map of ``size`` (no channels)."""
        longest = max([n for n, far in zip(size, self.wide, strict=True) if far], default=0)
        largest = max(self.dilations)
        if longest and largest > 1 and largest >= longest:
            raise ValueError(
                f"Context: dilation {largest} on a map of {tuple(size)} voxels; a dilation must be smaller than "
                "the map, else only the middle of its kernel lies on it: use smaller dilations, a larger patch "
                "or fewer stages"
            )
