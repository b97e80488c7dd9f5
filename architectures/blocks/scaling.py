"""Scaling of maps: linear enlargement with aligned corners, and one factor per channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence

SMOOTH = {2: "bilinear", 3: "trilinear"}


def enlarge(x: Tensor, size: Sequence[int]) -> Tensor:
    """Linear interpolation of ``x`` (B, C, *S) to ``size`` with aligned corners, as in sij-fm-25d-attention-unet."""
    if tuple(x.shape[2:]) == tuple(size):
        return x
    return F.interpolate(x, size, mode=SMOOTH[x.ndim - 2], align_corners=True)


def scale_channels(x: Tensor, factors: Tensor) -> Tensor:
    """``x`` (B, C, *S) times one factor per channel, shape (B, C) or (C)."""
    return x * factors.reshape(*factors.shape, *[1] * (x.ndim - 2))
