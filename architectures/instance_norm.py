"""Instance normalisation whose result an in-place nonlinearity may change without paying for a view."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from architectures.memory_format import is_eager_cpu


class _WithoutView(nn.modules.instancenorm._InstanceNorm):
    """torch's own, on the CPU computed as a group normalisation of one channel a group: the same equation.

    torch views the map as one sample, normalises and views it back. The backward pass of a nonlinearity that
    works in place on that view copies the map several times: normalisation and LeakyReLU of 32 channels take
    almost three times as long, forward and backward.
    """

    def forward(self, input: Tensor) -> Tensor:
        plain = is_eager_cpu(input) and not self.track_running_stats
        # Autocast keeps another list of what is computed in fp32. What torch's own refuses, it says best itself.
        fits = input.ndim == self._get_no_batch_dim() + 1 and input.shape[1] == self.num_features
        if not plain or not fits or input.shape[2:].numel() < 2 or torch.is_autocast_enabled("cpu"):
            return super().forward(input)
        return F.group_norm(input, self.num_features, self.weight, self.bias, self.eps)


class InstanceNorm2d(_WithoutView, nn.InstanceNorm2d):
    """Shapes: (B, C, H, W) -> the same."""


class InstanceNorm3d(_WithoutView, nn.InstanceNorm3d):
    """Shapes: (B, C, D, H, W) -> the same."""


def without_view(norm_op: Any) -> Any:
    """The class that stands in for torch's instance normalisation; any other as it is."""
    return {nn.InstanceNorm2d: InstanceNorm2d, nn.InstanceNorm3d: InstanceNorm3d}.get(
        norm_op, norm_op
    )
