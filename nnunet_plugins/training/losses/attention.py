"""Loss of an attention map (sij-fm-25d-attention-unet)."""

from __future__ import annotations

from typing import Any

import torch
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from torch import Tensor, nn
from torch.nn import functional as F

from nnunet_plugins.training.losses.targets import SMOOTH, split_target


class AttentionLoss(nn.Module):
    """Soft Dice loss of an attention map against the foreground pooled to the size of the map.

    The target of a map voxel is the share of foreground among the valid voxels that it covers, weighted by the
    share of valid voxels. Except for the smoothing term this equals the loss of the map upsampled to full
    resolution. For regions the foreground is their union. The loss is minus Dice, as in nnU-Net: -1 at best.

    Shapes: map (B, 1, *s) in 0..1; target (B, 1 or R, *S) as in :class:`SegmentationLoss`, s <= S; -> scalar.

    Args:
        regions: the target holds regions, not labels.
        ignore_label: the dataset's ignore label, or None.
    """

    def __init__(self, *, regions: bool, ignore_label: int | None) -> None:
        super().__init__()
        self.regions = regions
        self.ignore_label = ignore_label
        self.dice = MemoryEfficientSoftDiceLoss(smooth=SMOOTH, ddp=False)

    def forward(self, attention: Tensor, target: Tensor) -> Tensor:
        size, full = tuple(attention.shape[2:]), tuple(target.shape[2:])
        fits = len(size) == len(full) and all(s <= f for s, f in zip(size, full, strict=True))
        if attention.shape[:2] != (target.shape[0], 1) or not fits:
            raise ValueError(
                f"attention loss: the map is {tuple(attention.shape)}, the target {tuple(target.shape)}; expected a "
                f"map of one channel, {(target.shape[0], 1)}, and at most {full}"
            )
        with torch.no_grad():
            target, valid = split_target(
                target, regions=self.regions, ignore_label=self.ignore_label
            )
            foreground = (target > 0).any(1, keepdim=True).float()
            if valid is None:
                weight, share = None, _pool(foreground, size)
            else:
                weight = _pool(valid.float(), size)
                share = _pool(foreground * valid, size) / weight.clamp(min=1e-8)
        loss: Tensor = self.dice(attention, share, loss_mask=weight)  # sums in fp32
        return loss


def _pool(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """Average of (B, C, *S) over the voxels that each voxel of ``size`` covers."""
    pool: Any = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)[len(size) - 1]
    pooled: Tensor = pool(x, size)
    return pooled
