"""Smooth enlargement of a map, from corner to corner (paper 002's context and squeeze-and-attention)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence

SMOOTH = {2: "bilinear", 3: "trilinear"}


def enlarge(x: Tensor, size: Sequence[int]) -> Tensor:
    """Linear interpolation of ``x`` (B, C, *S) to ``size`` that keeps the corner voxels where they are."""
    if tuple(x.shape[2:]) == tuple(size):
        return x
    return F.interpolate(x, size, mode=SMOOTH[x.ndim - 2], align_corners=True)
