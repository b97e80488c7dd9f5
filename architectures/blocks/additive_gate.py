"""Additive attention gate on a skip connection (Oktay et al. 2018, arXiv 1804.03999, eq. 1-2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence


class AdditiveGate(nn.Module):
    """Weight a skip by its agreement with the upsampled features of the next coarser level.

    ``x * sigmoid(psi relu(Wx x + Wg g))``: three biased 1x1 convolutions, psi to one channel. The gating signal
    is taken after upsampling, where it has the skip's size (as in silveira2025-inception-dual; Oktay takes it
    before and interpolates).

    Shapes: skip (B, C, *S), gating (B, C_g, *S) -> (B, C, *S); S has the rank of ``conv_op``.

    >>> gate = AdditiveGate(8, conv_op=nn.Conv2d)
    >>> gate(torch.zeros(1, 8, 4, 4), torch.zeros(1, 8, 4, 4)).shape
    torch.Size([1, 8, 4, 4])

    Args:
        channels: C.
        conv_op: ``nn.Conv2d`` or ``nn.Conv3d``.
        reduction: C // reduction channels inside, at least 1; 2 in Oktay et al., 1 in
            silveira2025-inception-dual.
        gating_channels: C_g; C if None.
    """

    def __init__(
        self,
        channels: int,
        *,
        conv_op: type[nn.Module],
        reduction: int = 2,
        gating_channels: int | None = None,
    ) -> None:
        super().__init__()
        if reduction < 1:
            raise ValueError(f"AdditiveGate: reduction is {reduction}; it must be 1 or more")
        inside = max(1, channels // reduction)
        below = channels if gating_channels is None else gating_channels
        self.gating = conv_op(below, inside, 1)
        self.skip = conv_op(channels, inside, 1)
        self.merge = conv_op(inside, 1, 1)
        self.gating_channels, self.inside = below, inside

    def coefficients(self, skip: Tensor, gating: Tensor) -> Tensor:
        """Attention coefficients in (0, 1), shape (B, 1, *S)."""
        agreement = torch.relu_(self.gating(gating) + self.skip(skip))
        return torch.sigmoid(self.merge(agreement))

    def forward(self, skip: Tensor, gating: Tensor) -> Tensor:
        return skip * self.coefficients(skip, gating)

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> np.int64:
        """Elements that one sample keeps: the gating map, the rectified sum, the coefficients."""
        return np.prod([self.gating_channels + self.inside + 1, *input_size], dtype=np.int64)
