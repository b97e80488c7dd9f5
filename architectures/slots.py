"""The places of the U-Net where a block can sit, and what can sit there.

Each slot is a dict from the name that plans carry to the block; None leaves nnU-Net's own layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

from architectures.blocks.additive_gate import AdditiveGate
from architectures.blocks.aspp import ASPP
from architectures.blocks.bare_convolution import BareConvolution
from architectures.blocks.cbam import CBAM, SpatialGate
from architectures.blocks.dual_attention import DualAttention
from architectures.blocks.eca import EfficientChannelAttention
from architectures.blocks.inception import Inception
from architectures.blocks.large_kernel_gate import LargeKernelGate
from architectures.blocks.multi_scale_fusion import MultiScaleFusion
from architectures.blocks.non_local import NonLocal
from architectures.blocks.shortcut import Shortcut
from architectures.blocks.squeeze_excite import SqueezeExcite
from architectures.blocks.transformer import TransformerLayer
from architectures.suggestions import nearest_first

#: Called as ``block(channels, plan, **kwargs)``: ``plan`` holds the plan's layers at that place.
Builder = Callable[..., nn.Module]


def _told(block: Callable[..., nn.Module], *wanted: str) -> Builder:
    """``block``, told of the plan only what it asks for; what plans say of the block itself wins."""

    def build(channels: int, plan: Mapping[str, Any], **kwargs: Any) -> nn.Module:
        return block(channels, **{key: plan[key] for key in wanted} | kwargs)

    return build


class _SkipOnly(nn.Module):
    """A block on a skip that does not look at what comes from below."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block: Any = block

    def forward(self, skip: Tensor, gating: Tensor) -> Tensor:
        return self.block(skip)

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> np.int64:
        """The block's, for one sample."""
        if hasattr(self.block, "compute_conv_feature_map_size"):
            return self.block.compute_conv_feature_map_size(input_size)
        return np.int64(0)


def _skip_only(build: Builder) -> Builder:
    return lambda *args, **kwargs: _SkipOnly(build(*args, **kwargs))


_NORM = ("norm_op", "norm_op_kwargs")
_NONLIN = ("nonlin", "nonlin_kwargs")
_SE = _told(SqueezeExcite)
_CBAM = _told(CBAM, "conv_op")

#: Stands in for the first convolutions at full resolution.
STEMS: dict[str, Callable[..., nn.Module] | None] = {
    "plain": None,
    "mff": MultiScaleFusion,
    "inception": Inception,
}
#: Follows the convolutions of an encoder stage.
STAGES: dict[str, Builder | None] = {
    "plain": None,
    "aspp": _told(ASPP, "conv_op", "kernel_size", "conv_bias", "map_size", *_NORM, *_NONLIN),
}
#: Acts on the features of lowest resolution.
BOTTLENECKS: dict[str, Builder | None] = {
    "plain": None,
    "se": _SE,
    "eca": _told(EfficientChannelAttention),
    "cbam": _CBAM,
    "nonlocal": _told(NonLocal, "conv_op", *_NORM),
    "da": _told(DualAttention, "conv_op"),
    "transformer": _told(TransformerLayer),
    "conv": _told(BareConvolution, "conv_op", "kernel_size", *_NONLIN),
}
#: Acts on a skip, given the upsampled features that it is concatenated with.
SKIPS: dict[str, Builder | None] = {
    "plain": None,
    "lgag": _told(LargeKernelGate, "conv_op", "kernel_size", "gating_channels", *_NORM),
    "attention": _told(AdditiveGate, "conv_op", "gating_channels"),
    "se": _skip_only(_SE),
    "cbam": _skip_only(_CBAM),
    "sam": _skip_only(_told(SpatialGate, "conv_op")),
}
#: Goes around the convolutions of a stage.
WRAPS: dict[str, Callable[..., nn.Module] | None] = {"plain": None, "shortcut": Shortcut}


def choose(slot: str, choices: Mapping[str, Any], name: str) -> Any:
    """The block called ``name``; an unknown name is answered with the known ones, the nearest first."""
    if name not in choices:
        raise ValueError(
            f"{slot}: no block called {name!r}; known: {', '.join(nearest_first(name, choices))}"
        )
    return choices[name]
