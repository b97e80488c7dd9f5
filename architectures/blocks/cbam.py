"""Convolutional block attention: a channel gate, then a spatial gate (CBAM, Woo et al. 2018, arXiv 1807.06521,
eq. 1-3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from dynamic_network_architectures.building_blocks.helper import maybe_convert_scalar_to_list
from torch import Tensor, nn

from architectures.blocks.attention import outside_autocast
from architectures.blocks.scaling import scale_channels
from architectures.blocks.squeeze_excite import squeeze

if TYPE_CHECKING:
    from collections.abc import Sequence


class SpatialGate(nn.Module):
    """Scale each voxel by a gate from the mean and the maximum of its channels (SAM, eq. 3).

    ``x * sigmoid(conv_k[mean_c x; max_c x])`` with a bias-free convolution.

    Shapes: (B, C, *S) -> (B, C, *S); S has the rank of ``conv_op``.

    >>> SpatialGate(conv_op=nn.Conv3d)(torch.zeros(1, 4, 2, 6, 6)).shape
    torch.Size([1, 4, 2, 6, 6])

    Args:
        channels: C; the gate does not depend on it.
        conv_op: ``nn.Conv2d`` or ``nn.Conv3d``.
        kernel_size: k, odd; a number or one per axis.
    """

    def __init__(
        self,
        channels: int | None = None,
        *,
        conv_op: type[nn.Module],
        kernel_size: int | Sequence[int] = 7,
    ) -> None:
        super().__init__()
        kernel = list(maybe_convert_scalar_to_list(conv_op, kernel_size))
        if any(k < 1 or k % 2 == 0 for k in kernel):
            raise ValueError(f"SpatialGate: kernel_size is {kernel}; every axis must be odd")
        self.conv = conv_op(2, 1, kernel, padding=[k // 2 for k in kernel], bias=False)

    def forward(self, x: Tensor) -> Tensor:
        seen = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return x * torch.sigmoid(self.conv(seen))

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> np.int64:
        """Elements that one sample keeps: mean, maximum and gate."""
        return np.prod([3, *input_size], dtype=np.int64)


class CBAM(nn.Module):
    """Channel gate from mean and maximum over all voxels, then the spatial gate.

    ``y = x * sigmoid(W2 relu(W1 mean(x)) + W2 relu(W1 max(x)))`` (eq. 2) with bias-free ``W1`` (C/r x C) and
    ``W2`` (C x C/r), then ``SpatialGate`` of y.

    Shapes: (B, C, *S) -> (B, C, *S); S has the rank of ``conv_op``.

    >>> CBAM(32, conv_op=nn.Conv2d)(torch.zeros(1, 32, 6, 6)).shape
    torch.Size([1, 32, 6, 6])

    Args:
        channels: C.
        conv_op: ``nn.Conv2d`` or ``nn.Conv3d``, for the spatial gate.
        reduction: r, 16 in the paper; the hidden width is C // r, at least 1.
        kernel_size: of the spatial gate.
    """

    def __init__(
        self,
        channels: int,
        *,
        conv_op: type[nn.Module],
        reduction: int = 16,
        kernel_size: int | Sequence[int] = 7,
    ) -> None:
        super().__init__()
        self.shared = squeeze("CBAM", channels, reduction)
        self.spatial = SpatialGate(channels, conv_op=conv_op, kernel_size=kernel_size)
        self.channels = channels

    def _channel_gate(self, mean: Tensor, largest: Tensor) -> Tensor:
        return torch.sigmoid(self.shared(mean) + self.shared(largest))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(2)
        # Sums of maxima overflow fp16, and infinities of opposite sign add up to NaN.
        dtype = next(self.shared.parameters()).dtype
        gate = outside_autocast(self._channel_gate, flat.mean(-1), flat.amax(-1), dtype=dtype)
        y: Tensor = self.spatial(scale_channels(x, gate))
        return y

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> np.int64:
        """Elements that one sample keeps: the map between the two gates and those of the spatial gate."""
        total: np.int64 = np.prod([self.channels, *input_size], dtype=np.int64)
        total += self.spatial.compute_conv_feature_map_size(input_size)
        return total
