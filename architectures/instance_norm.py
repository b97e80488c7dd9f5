"""Instance normalisation that does not return a view, for in-place nonlinearities after it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from architectures.memory_format import is_eager_cpu


class _WithoutView(nn.modules.instancenorm._InstanceNorm):
    """torch's own, computed on the CPU as group normalisation with one channel per group: the same equation.

    torch views the map as one sample, normalises it and views it back. The backward pass of an in-place
    nonlinearity on that view copies the map several times: normalisation and LeakyReLU of 32 channels take
    almost three times as long, forward and backward.
    """

    def forward(self, input: Tensor) -> Tensor:
        plain = is_eager_cpu(input) and not self.track_running_stats
        # Autocast treats group normalisation differently. Invalid inputs are left to torch's own error messages.
        batched = self._get_no_batch_dim() + 1  # type: ignore[no-untyped-call]
        fits = input.ndim == batched and input.shape[1] == self.num_features
        if not plain or not fits or input.shape[2:].numel() < 2 or torch.is_autocast_enabled("cpu"):
            return super().forward(input)
        return F.group_norm(input, self.num_features, self.weight, self.bias, self.eps)


class InstanceNorm2d(_WithoutView, nn.InstanceNorm2d):
    """Shapes: (B, C, H, W) -> the same."""


class InstanceNorm3d(_WithoutView, nn.InstanceNorm3d):
    """Shapes: (B, C, D, H, W) -> the same."""


def without_view(norm_op: Any) -> Any:
    """The class that replaces torch's instance normalisation; any other class is returned as it is.

    >>> without_view(nn.InstanceNorm2d).__module__, without_view(nn.BatchNorm2d).__module__
    ('architectures.instance_norm', 'torch.nn.modules.batchnorm')
    """
    return {nn.InstanceNorm2d: InstanceNorm2d, nn.InstanceNorm3d: InstanceNorm3d}.get(
        norm_op, norm_op
    )
