"""Weights of voxels by their distance from the boundaries of the target (``training.voxel_weights``).

The weight map of U-Net (Ronneberger 2015, arXiv 1505.04597, section 3) raises the loss near boundaries with a
Gaussian of the distance. Here it is a step: one weight within a distance, 1 elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_POOL: dict[int, Any] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


class BoundaryWeights(nn.Module):
    """Weights of the voxels of a target.

    A voxel is near a boundary if the box of ± ``distance`` around it holds a valid voxel of another label (of another
    value in any region). Targets of coarser outputs have larger voxels, so a box narrower than one of them has no
    neighbours.

    Shapes: target (B, C, *S), valid (B, 1, *S) mask or None -> weights (B, 1, *S).

    Args:
        distance: half the side of the box, mm.
        weight: of voxels near a boundary.
        spacing: of the full-size target, mm per axis.
        size: of the full-size target, in voxels.

    >>> near = BoundaryWeights(distance=1, weight=3, spacing=[1.0], size=[6])
    >>> near(torch.tensor([[[0, 0, 0, 1, 1, 1]]]), None).tolist()
    [[[1.0, 1.0, 3.0, 3.0, 1.0, 1.0]]]
    """

    def __init__(
        self, *, distance: float, weight: float, spacing: Sequence[float], size: Sequence[int]
    ) -> None:
        super().__init__()
        self.distance, self.weight = float(distance), float(weight)
        self.spacing, self.size = tuple(map(float, spacing)), tuple(map(int, size))

    @torch.no_grad()
    def forward(self, target: Tensor, valid: Tensor | None) -> Tensor:
        values = target.float()
        ignored = torch.zeros_like(values[:, :1]) if valid is None else 1.0 - valid.float()
        # Ignored voxels are neither the highest nor the lowest of a box.
        least, most = (values.masked_fill(ignored > 0, sign * torch.inf) for sign in (1, -1))
        different = (self._highest(most) > values) | (-self._highest(-least) < values)
        near = different.any(1, keepdim=True)
        return torch.ones_like(ignored).masked_fill(near, self.weight)

    def _highest(self, x: Tensor) -> Tensor:
        """The highest value of the box around each voxel; one axis after the other."""
        rank = x.ndim - 2
        for axis in range(rank):
            voxel = self.spacing[axis] * self.size[axis] / x.shape[2 + axis]
            # 1e-6: a distance of three voxels is three, whatever its rounding.
            reach = min(int(self.distance / voxel + 1e-6), x.shape[2 + axis] - 1)
            sides = [reach if a == axis else 0 for a in range(rank)]
            if reach:
                x = _POOL[rank](x, [2 * n + 1 for n in sides], 1, sides)
        return x

    def extra_repr(self) -> str:
        return f"distance={self.distance}, weight={self.weight}"
