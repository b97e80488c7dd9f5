"""Scaling of maps: means over windows, linear enlargement with aligned corners, and one factor per channel."""

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


def averaged(x: Tensor, size: Sequence[int]) -> Tensor:
    """Means of ``x`` (B, C, *S) over windows that cover it, one per element of ``size``: adaptive average pooling.

    In 3D it pools plane by plane, then across planes: the same means, and ONNX has no adaptive pooling in 3D.

    >>> import torch
    >>> averaged(torch.arange(8.0).view(1, 1, 2, 2, 2), [1, 1, 2]).tolist()
    [[[[[3.0, 4.0]]]]]
    """
    if x.ndim != 5:
        return F.interpolate(x, size, mode="area")
    batch, channels, depth = x.shape[:3]
    planes = F.adaptive_avg_pool2d(x.flatten(1, 2), (size[1], size[2]))
    columns = planes.reshape(batch, channels, depth, size[1] * size[2])
    pooled = F.adaptive_avg_pool2d(columns, (size[0], size[1] * size[2]))
    return pooled.reshape(batch, channels, *size)


def scale_channels(x: Tensor, factors: Tensor) -> Tensor:
    """``x`` (B, C, *S) times one factor per channel, shape (B, C) or (C)."""
    return x * factors.reshape(*factors.shape, *[1] * (x.ndim - 2))
