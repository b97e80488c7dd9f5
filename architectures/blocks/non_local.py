"""Non-local block, embedded Gaussian (Wang et al. 2018, arXiv 1711.07971, eq. 4 and 6).

The logits are unscaled inner products, and two convolutions follow each other with nothing between them: both
overflow fp16, so the block computes in fp32 even under autocast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from architectures.blocks.attention import attend_positions, outside_autocast
from architectures.blocks.scaling import scale_channels

if TYPE_CHECKING:
    from collections.abc import Sequence


class NonLocal(nn.Module):
    """Every position gathers features from all positions, through half the channels.

    ``x_j + N(W sum_i softmax_i(theta_j . phi_i) g_i)``: theta, phi, g 1x1 projections of x, W a 1x1
    convolution, all bias-free as in the paper's equations, N the plan's normalisation (batch norm in the
    paper). The weight of N is initially 0, so the block is initially the identity. Without a normalisation, or
    with one that has no weight, a learned scale per channel is initially 0 instead: unlike the weights of W it
    stays 0 when a network initialises its convolutions.
    Memory grows with N, not N^2: the attention is fused.

    Shapes: (B, C, *S) -> (B, C, *S); S has the rank of ``conv_op``.

    >>> x = torch.rand(1, 4, 3, 3)
    >>> torch.equal(NonLocal(4, conv_op=nn.Conv2d, norm_op=None)(x), x)
    True

    Args:
        channels: C.
        conv_op: ``nn.Conv2d`` or ``nn.Conv3d``.
        norm_op: normalisation class, or None.
        norm_op_kwargs: its arguments.
        hidden: channels of the projections; C // 2 if None.
    """

    def __init__(
        self,
        channels: int,
        *,
        conv_op: type[nn.Module],
        norm_op: type[nn.Module] | None,
        norm_op_kwargs: dict[str, Any] | None = None,
        hidden: int | None = None,
    ) -> None:
        super().__init__()
        inside = max(1, channels // 2) if hidden is None else hidden
        if inside < 1:
            raise ValueError(f"NonLocal: hidden is {hidden}; it must be 1 or more")
        self.theta = conv_op(channels, inside, 1, bias=False)
        self.phi = conv_op(channels, inside, 1, bias=False)
        self.g = conv_op(channels, inside, 1, bias=False)
        self.out = conv_op(inside, channels, 1, bias=False)
        self.norm = (
            nn.Identity() if norm_op is None else norm_op(channels, **(norm_op_kwargs or {}))
        )
        self.scale: nn.Parameter | None = None
        weight = getattr(self.norm, "weight", None)
        if weight is None:
            self.scale = nn.Parameter(torch.zeros(channels))
        else:
            nn.init.zeros_(weight)
        self.channels, self.inside = channels, inside

    def _change(self, x: Tensor) -> Tensor:
        query, key, value = (p(x).flatten(2) for p in (self.theta, self.phi, self.g))
        gathered = attend_positions(query, key, value)
        gathered = gathered.reshape(*gathered.shape[:2], *x.shape[2:])
        change: Tensor = self.norm(self.out(gathered))
        return change if self.scale is None else scale_channels(change, self.scale)

    def forward(self, x: Tensor) -> Tensor:
        return x + outside_autocast(self._change, x, dtype=next(self.parameters()).dtype)

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> np.int64:
        """Elements that one sample keeps: three projections, the gathered map, and the result of W."""
        return np.prod([4 * self.inside + self.channels, *input_size], dtype=np.int64)
