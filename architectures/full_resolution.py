"""What the networks share that answer at full resolution only and are not built as U-Nets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dynamic_network_architectures.building_blocks.helper import convert_conv_op_to_dim
from torch import Tensor, nn

from architectures.feature_map_size import count_feature_maps
from architectures.outputs import Output
from architectures.padding import crop_to, pad_to_multiple

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np


class _Switch(nn.Module):
    """Where nnU-Net switches deep supervision."""

    def __init__(self, deep_supervision: bool) -> None:
        super().__init__()
        self.deep_supervision = deep_supervision


class FullResolutionNetwork(nn.Module):
    """A network whose only output is logits of the input's size; a subclass defines ``logits``.

    Shapes: (B, input_channels, *S) -> (B, num_classes, *S) raw logits; under deep supervision a list of one.

    Args:
        input_channels: number of image channels.
        conv_op: ``nn.Conv2d`` or ``nn.Conv3d``; decides the rank.
        stride: voxels of the input that a voxel of the coarsest map stands for, an axis at a time; ``logits``
            sees inputs padded to a multiple of it.
        deep_supervision: return a list.
    """

    #: Numbers of spatial axes that it can take.
    ranks: tuple[int, ...] = (2, 3)
    takes_input_size = False

    def __init__(
        self,
        *,
        input_channels: int,
        conv_op: type[nn.Module],
        stride: Sequence[int],
        deep_supervision: bool,
    ) -> None:
        super().__init__()
        self.input_channels = input_channels
        self.rank = convert_conv_op_to_dim(conv_op)
        self.stride = tuple(int(s) for s in stride)
        self.decoder: Any = _Switch(deep_supervision)

    def logits(self, x: Tensor) -> Tensor:
        """(B, input_channels, *S) -> (B, num_classes, *S), S a multiple of the stride."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        y = self.logits(pad_to_multiple(x, self.stride))
        y = crop_to(y, x.shape[2:], [1] * self.rank)
        return [y] if self.decoder.deep_supervision else y

    @property
    def outputs(self) -> tuple[Output, ...]:
        """What the list under deep supervision holds: the logits at full resolution."""
        return (Output("logits", (1,) * self.rank),)

    def check_input_size(self, size: Sequence[int]) -> None:
        """Raise ValueError if an input of ``size`` (no batch, no channels) leaves one voxel to normalise."""
        self._check_rank(size)
        if all(n <= s for n, s in zip(size, self.stride, strict=True)):
            raise ValueError(
                f"{type(self).__name__}: a patch of {tuple(size)} voxels leaves one voxel of the coarsest map, "
                f"whose stride is {self.stride}, and a normalisation wants more; take a patch that is larger "
                "than that along an axis, or fewer stages"
            )

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> np.int64:
        """Elements of the feature maps of one sample of ``input_size`` (no channels), for nnU-Net's planner."""
        self._check_rank(input_size)
        return count_feature_maps(self, self.input_channels, input_size)

    def _check_rank(self, size: Sequence[int]) -> None:
        if len(size) != self.rank:
            raise ValueError(
                f"{type(self).__name__}: input_size is {tuple(size)}; {self.rank} spatial sizes are wanted, "
                "without batch and channels"
            )

    @staticmethod
    def initialize(module: nn.Module) -> None:
        """Leave the weights as they are: a wrapped network keeps the start that its library gives it."""
