"""Base of the networks that are not built as U-Nets and return logits at full resolution only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from architectures.feature_map_size import count_feature_maps
from architectures.outputs import Output
from architectures.padding import crop_to, pad_to_multiple

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from architectures.plan import Plan


class _Switch(nn.Module):
    """The attribute by which nnU-Net switches deep supervision."""

    def __init__(self, deep_supervision: bool) -> None:
        super().__init__()
        self.deep_supervision = deep_supervision


def _rename(network: Any, weights: dict[str, Any], prefix: str, *_: Any) -> None:
    """Give the weights of an older checkpoint their present names."""
    for name in list(weights):
        for former, present in network.former_names:
            if name.startswith(prefix + former):
                new = prefix + present + name.removeprefix(prefix + former)
                weights[new] = weights.pop(name)
                break


class FullResolutionNetwork(nn.Module):
    """A network whose only output is logits of the input's size; a subclass defines ``logits``.

    Shapes: (B, input_channels, *S) -> (B, num_classes, *S) raw logits; under deep supervision a list of one.

    Args:
        plan: of the network.
        stride: input voxels per voxel of the coarsest map, along each axis; ``logits`` receives inputs padded
            to a multiple of it.
    """

    #: Supported numbers of spatial axes.
    ranks: tuple[int, ...] = (2, 3)
    #: Whether plans should carry ``input_size``.
    takes_input_size = False
    #: Modules that fine-tuning loads as the encoder.
    encoder_names: tuple[str, ...] = ("encoder",)
    #: Beginning of a weight's name in checkpoints before 0.3 -> the name since; the first that matches counts.
    former_names: tuple[tuple[str, str], ...] = ()

    def __init__(self, plan: Plan, stride: Sequence[int]) -> None:
        super().__init__()
        self.input_channels = plan.input_channels
        self.rank = plan.rank
        self.stride = tuple(int(s) for s in stride)
        self.decoder: Any = _Switch(plan.deep_supervision)
        self.register_load_state_dict_pre_hook(_rename)  # type: ignore[no-untyped-call]

    def logits(self, x: Tensor) -> Tensor:
        """(B, input_channels, *S) -> (B, num_classes, *S), S a multiple of the stride."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        y = self.logits(pad_to_multiple(x, self.stride))
        y = crop_to(y, x.shape[2:], [1] * self.rank)
        return [y] if self.decoder.deep_supervision else y

    @property
    def outputs(self) -> tuple[Output, ...]:
        """Entries of the list returned under deep supervision: the logits at full resolution."""
        return (Output("logits", (1,) * self.rank),)

    def check_input_size(self, size: Sequence[int]) -> None:
        """Raise ValueError if an input of ``size`` (no batch, no channels) leaves one voxel to normalise."""
        self._check_rank(size)
        if all(n <= s for n, s in zip(size, self.stride, strict=True)):
            raise ValueError(
                f"{type(self).__name__}: a patch of {tuple(size)} voxels leaves one voxel of the coarsest map, "
                f"which has stride {self.stride}, and a normalisation needs more; use a patch that is larger "
                "than that along an axis, or fewer stages"
            )

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> np.int64:
        """Elements of the feature maps of one sample of ``input_size`` (no channels), for nnU-Net's planner."""
        self._check_rank(input_size)
        return count_feature_maps(self, self.input_channels, input_size)

    def _check_rank(self, size: Sequence[int]) -> None:
        if len(size) != self.rank:
            raise ValueError(
                f"{type(self).__name__}: input_size is {tuple(size)}; expected {self.rank} spatial sizes, "
                "without batch and channels"
            )

    @staticmethod
    def initialize(module: nn.Module) -> None:
        """Leave the weights as they are: a wrapped network keeps its library's initialisation."""
