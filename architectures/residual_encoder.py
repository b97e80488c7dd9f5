"""Residual encoder that pools before its stages (paper 002), or strides in them as nnU-Net's does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dynamic_network_architectures.building_blocks.helper import get_matching_pool_op
from torch import Tensor, nn

from architectures.blocks.residual_unit import residual_units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from architectures.topology import Topology


class Encoder(nn.Module):
    """Each stage pools, or strides in its first unit, and goes on with residual units.

    Shapes: (B, input_channels, *S) -> a list of (B, widths, *S / reach), largest first.

    Args:
        input_channels: number of image channels.
        plan: the topology.
        units: residual units, one a stage.
        pool: 'max', 'avg' or 'conv'.
        layers: of ResidualUnit.
    """

    def __init__(
        self,
        input_channels: int,
        plan: Topology,
        *,
        units: Sequence[int],
        pool: str,
        layers: dict[str, Any],
    ) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        below = input_channels
        for width, kernel, stride, n in zip(
            plan.widths, plan.kernels, plan.strides, units, strict=True
        ):
            strided = pool == "conv"
            stage = residual_units(
                n, below, width, kernel_size=kernel, stride=stride if strided else 1, **layers
            )
            # A pooling of stride 1 changes nothing, but keeps a map and its indices.
            if not strided and any(step > 1 for step in stride):
                stage.insert(0, get_matching_pool_op(layers["conv_op"], pool_type=pool)(stride))
            stages.append(stage)
            below = width
        self.stages = nn.ModuleList(stages)

    def forward(self, x: Tensor) -> list[Tensor]:
        skips = []
        for stage in self.stages:
            x = stage(x)
            skips.append(x)
        return skips
