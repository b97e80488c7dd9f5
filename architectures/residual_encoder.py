"""Residual encoder that pools before its stages (sij-fm-25d-attention-unet), or strides as nnU-Net's does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamic_network_architectures.building_blocks.helper import get_matching_pool_op
from torch import Tensor, nn

from architectures.blocks.residual_unit import residual_units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from architectures.layers import Layers
    from architectures.topology import Topology


class Encoder(nn.Module):
    """Each stage pools, or strides in its first residual unit, and continues with residual units.

    Shapes: (B, input_channels, *S) -> a list of (B, widths, *S / reach), largest first.

    Args:
        input_channels: number of image channels.
        topology: the stages.
        layers: the layer types.
        units: residual units of each stage.
        pool: 'max', 'avg' or 'conv' (stride instead of pooling).
    """

    def __init__(
        self,
        input_channels: int,
        topology: Topology,
        layers: Layers,
        *,
        units: Sequence[int],
        pool: str,
    ) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        below = input_channels
        for width, kernel, stride, n in zip(
            topology.widths, topology.kernels, topology.strides, units, strict=True
        ):
            strided = pool == "conv"
            stage = residual_units(
                n, below, width, layers, kernel_size=kernel, stride=stride if strided else 1
            )
            # A pooling of stride 1 changes nothing, but stores a map and its indices.
            if not strided and any(step > 1 for step in stride):
                stage.insert(0, get_matching_pool_op(layers.conv_op, pool_type=pool)(stride))
            stages.append(stage)
            below = width
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        skips = []
        for stage in self.stages:
            x = stage(x)
            skips.append(x)
        return skips
