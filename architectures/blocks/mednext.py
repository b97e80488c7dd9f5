"""MedNeXt's block: large depthwise kernel, expansion, compression (Roy 2023, arXiv 2303.09975, section 2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dynamic_network_architectures.building_blocks.helper import get_matching_convtransp
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence


class MedNeXtBlock(nn.Module):
    """``shortcut(x) + compress(gelu(expand(norm(depthwise(x)))))``, at the same size, strided down or strided up.

    The normalisation is of each channel of a sample. At the same size the shortcut is x itself; otherwise it is a
    strided convolution of kernel 1, transposed on the way up. A transposed convolution leaves out the first voxels,
    which are padded with zeros.

    >>> import torch
    >>> block = MedNeXtBlock(4, conv_op=nn.Conv2d, kernel_size=[3, 3], expansion=2, width=8, stride=[2, 1])
    >>> block(torch.zeros(1, 4, 6, 6)).shape
    torch.Size([1, 8, 3, 6])

    Shapes: (B, channels, *S) -> (B, width, *S) without stride; (B, width, *S / stride) down, S a multiple of the
    stride; (B, width, *S * stride) up.

    Args:
        channels: of the input.
        conv_op: convolution; its number of axes is that of the block.
        kernel_size: of the depthwise convolution, odd, one per axis.
        expansion: width of the inner layer per input channel.
        width: channels of the output; None for those of the input.
        stride: one per axis; None keeps the size.
        up: whether the stride enlarges.
    """

    def __init__(
        self,
        channels: int,
        *,
        conv_op: Any,
        kernel_size: Sequence[int],
        expansion: int,
        width: int | None = None,
        stride: Sequence[int] | None = None,
        up: bool = False,
    ) -> None:
        super().__init__()
        width = width or channels
        steps = tuple(stride or [1] * len(kernel_size))
        resample = get_matching_convtransp(conv_op) if up else conv_op
        padding = [k // 2 for k in kernel_size]
        self.depthwise = resample(
            channels, channels, tuple(kernel_size), steps, padding, groups=channels
        )
        self.norm = nn.GroupNorm(channels, channels)
        self.expand = conv_op(channels, expansion * channels, 1)
        self.compress = conv_op(expansion * channels, width, 1)
        self.shortcut: nn.Module | None = None
        if stride is not None:
            self.shortcut = resample(channels, width, 1, steps)
        # Pairs (before, after) from the last axis to the first.
        self.before = [n for s in reversed(steps) for n in (s - 1, 0)] if up else []

    def forward(self, x: Tensor) -> Tensor:
        y = self.compress(F.gelu(self.expand(self.norm(self.depthwise(x)))))
        y = y + (x if self.shortcut is None else self.shortcut(x))
        return F.pad(y, self.before) if self.before else y
