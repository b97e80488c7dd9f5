"""Axial spatial attention: one map of weights from thin kernels (Zhao and Wu 2019, arXiv 1903.00179;
sij-fm-25d-attention-unet).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from dynamic_network_architectures.building_blocks.helper import maybe_convert_scalar_to_list
from torch import Tensor, nn

from architectures.blocks.convolution import Convolution

if TYPE_CHECKING:
    from collections.abc import Sequence

    from architectures.layers import Layers


class AxialAttention(nn.Module):
    """``w * x + x`` with one map w for all channels, which is returned as well, so that it can be supervised.

    Two branches convolve along every axis along which ``kernel_size`` is more than 1, one axis at a time: the
    first from the first axis to the last, the second in reverse. In plane these are the paper's two, k x 1 then
    1 x k and the reverse: ``N(conv_1xk(nonlin(N(conv_kx1(x)))))`` with one channel at the end; three axes give
    three convolutions per branch. w is the sigmoid of their sum. Instance normalisation without a learned
    weight keeps most of a branch within 2 of 0, so w is rarely near 0 or 1.

    Shapes: (B, C, *S) -> (B, C, *S) and w (B, 1, *S) in 0 to 1; S has the rank of ``layers``.

    >>> from architectures.layers import Layers
    >>> attention = AxialAttention(4, Layers(conv_op=nn.Conv3d, nonlin=nn.ReLU), kernel_size=[1, 3, 3])
    >>> [tuple(y.shape) for y in attention(torch.zeros(1, 4, 2, 5, 5))]
    [(1, 4, 2, 5, 5), (1, 1, 2, 5, 5)]

    Args:
        channels: C.
        layers: the layer types; dropout is not used.
        kernel_size: selects the axes: no convolution runs along axes of size 1.
        length: k, odd; 3 in sij-fm-25d-attention-unet, 9 in Zhao and Wu.
        width: channels inside; C // 2 if None, as in both papers.
    """

    def __init__(
        self,
        channels: int,
        layers: Layers,
        *,
        kernel_size: int | Sequence[int] = 3,
        length: int = 3,
        width: int | None = None,
    ) -> None:
        super().__init__()
        if length < 1 or length % 2 == 0:
            raise ValueError(f"AxialAttention: length is {length}; it must be odd")
        inside = max(1, channels // 2) if width is None else width
        if inside < 1:
            raise ValueError(f"AxialAttention: width is {width}; it must be 1 or more")
        kernel = maybe_convert_scalar_to_list(layers.conv_op, kernel_size)
        # If every axis has size 1, one 1x1 convolution remains.
        axes = [axis for axis, k in enumerate(kernel) if k > 1] or [0]
        reach = length if any(k > 1 for k in kernel) else 1
        inner, last = layers.without_dropout(), layers.without_activation()

        def branch(order: list[int]) -> nn.Sequential:
            widths = [channels, *[inside] * (len(order) - 1), 1]
            thin = [[reach if a == axis else 1 for a in range(len(kernel))] for axis in order]
            return nn.Sequential(
                *(
                    Convolution(
                        widths[i],
                        widths[i + 1],
                        inner if i + 1 < len(order) else last,
                        kernel_size=size,
                    )
                    for i, size in enumerate(thin)
                )
            )

        orders = [axes, axes[::-1]] if len(axes) > 1 else [axes]
        self.branches = nn.ModuleList(branch(order) for order in orders)

    def weights(self, x: Tensor) -> Tensor:
        """The map w, shape (B, 1, *S)."""
        total: Tensor = self.branches[0](x)
        for branch in self.branches[1:]:
            total = total + branch(x)
        return total.sigmoid()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        w = self.weights(x)
        return torch.addcmul(x, w, x), w
