"""Inception block (Szegedy et al. 2015, arXiv 1409.4842) as the first block of a U-Net
(silveira2025-inception-dual, fig. 2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from dynamic_network_architectures.building_blocks.helper import (
    get_matching_pool_op,
    maybe_convert_scalar_to_list,
)
from dynamic_network_architectures.building_blocks.simple_conv_blocks import ConvDropoutNormReLU
from torch import Tensor, nn

from architectures.memory_format import convolve_first

if TYPE_CHECKING:
    from collections.abc import Sequence


class Inception(nn.Module):
    """Four parallel branches of growing receptive field, concatenated.

    ``1x1 | 1x1 -> 3x3 | 1x1 -> 5x5 | max-pool 3 -> 1x1``, normalisation and nonlinearity after each of the six
    convolutions. The branches have 1/4, 1/2, 1/8 and 1/8 of the output channels, the 1x1 convolutions
    before 3x3 and 5x5 have 3/8 and 1/16: 64 | 96 -> 128 | 16 -> 32 | 32 in the paper, 256 in total.

    The block replaces all convolutions of the first stage. The paper gives no stride; a stride above 1 is a
    max-pooling before the branches, so that all of them receive the same map.

    Shapes: (B, C_in, *S) -> (B, C_out, *ceil(S / stride)), C_out = ``self.output_channels``.

    >>> block = Inception(1, 4, conv_op=nn.Conv2d, kernel_size=3)
    >>> block(torch.zeros(1, 1, 6, 6)).shape
    torch.Size([1, 16, 6, 6])

    Args:
        input_channels: C_in.
        output_channels: the plan's width of the stage.
        conv_op: ``nn.Conv2d`` or ``nn.Conv3d``.
        kernel_size: the plan's kernel of the stage; axes of size 1 stay 1 in every branch.
        stride: of the stage.
        n_convs: not used; every stem receives the number of convolutions that it replaces.
        block_kwargs: bias, norm, dropout and nonlinearity as in nnU-Net's convolution block.
        expansion: C_out / output_channels; the paper's 64 become 256.
    """

    def __init__(
        self,
        input_channels: int,
        output_channels: int,
        *,
        conv_op: type[nn.Module] = nn.Conv3d,
        kernel_size: int | Sequence[int] = (3, 3, 3),
        stride: int | Sequence[int] = 1,
        n_convs: int = 2,
        block_kwargs: dict[str, Any] | None = None,
        expansion: float = 4,
    ) -> None:
        super().__init__()
        total = round(expansion * output_channels)
        if total < 4:
            raise ValueError(
                f"Inception: expansion {expansion} of {output_channels} channels leaves {total}; the four "
                "branches need one channel each: use a larger expansion"
            )
        wide = [k > 1 for k in maybe_convert_scalar_to_list(conv_op, kernel_size)]
        common = dict(block_kwargs or {})

        def share(part: float) -> int:
            return max(1, round(part * total))

        # The concatenation copies these maps anyway, so in-place operations save nothing; and on the view that an
        # instance normalisation returns, the backward pass of an in-place operation copies it three times.
        copied = dict(common)
        if "inplace" in (common.get("nonlin_kwargs") or {}):
            copied["nonlin_kwargs"] = {**common["nonlin_kwargs"], "inplace": False}

        def conv(inputs: int, outputs: int, size: int, *, inner: bool = False) -> nn.Module:
            kernel = [size if far else 1 for far in wide]
            layers = common if inner else copied
            block: nn.Module = ConvDropoutNormReLU(conv_op, inputs, outputs, kernel, 1, **layers)
            return block

        self.stride = maybe_convert_scalar_to_list(conv_op, stride)
        pool = get_matching_pool_op(conv_op, pool_type="max")
        self.down = (
            pool(self.stride, ceil_mode=True) if any(s > 1 for s in self.stride) else nn.Identity()
        )
        # The widest branch takes the rest, so that rounding does not change the total.
        one, five, pooled = share(1 / 4), share(1 / 8), share(1 / 8)
        three = total - one - five - pooled
        before_three, before_five = share(3 / 8), share(1 / 16)
        size = [3 if far else 1 for far in wide]
        self.branches = nn.ModuleList(
            [
                nn.Sequential(conv(input_channels, one, 1)),
                nn.Sequential(
                    conv(input_channels, before_three, 1, inner=True), conv(before_three, three, 3)
                ),
                nn.Sequential(
                    conv(input_channels, before_five, 1, inner=True), conv(before_five, five, 5)
                ),
                nn.Sequential(
                    pool(size, stride=1, padding=[k // 2 for k in size]),
                    conv(input_channels, pooled, 1),
                ),
            ]
        )
        # oneDNN pads to blocks of 16 channels; with 8 or 12, a 5x5x5 step takes 0.4 of the time in channels-last.
        self.turned = sum(wide) == 3 and before_five % 16 > 0
        # Pretrained weights for another number of image channels are adapted at these.
        self.first_convolutions = ("branches.0.0", "branches.1.0", "branches.2.0", "branches.3.1")
        self.output_channels = total
        self.maps = total + before_three + before_five

    def forward(self, x: Tensor) -> Tensor:
        x = self.down(x)
        branches: Any = self.branches
        one, three, (before_five, five), pooled = branches
        far = before_five(x)
        far = convolve_first([five.all_modules], far)[0] if self.turned else five(far)
        return torch.cat([one(x), three(x), far, pooled(x)], 1)

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> np.int64:
        """Elements of all convolution outputs for one sample, as nnU-Net's planner counts them."""
        size = [-(-n // s) for n, s in zip(input_size, self.stride, strict=True)]
        return np.prod([self.maps, *size], dtype=np.int64)
