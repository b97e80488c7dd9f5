"""The slots of the U-Net and the blocks that fit into each.

A slot maps the name that plans use to a block; None keeps nnU-Net's own layer.
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

#: Called as ``block(channels, stage, **kwargs)``; ``stage`` holds conv_op, kernel_size, map_size (None if unknown),
#: gating_channels and the layers of ``architectures.layers.Layers`` at that stage.
Builder = Callable[..., nn.Module]


def _taking(block: Callable[..., nn.Module], *names: str) -> Builder:
    """``block`` with the entries ``names`` of the stage; arguments in the plans take precedence."""

    def build(channels: int, stage: Mapping[str, Any], **kwargs: Any) -> nn.Module:
        return block(channels, **{name: stage[name] for name in names} | kwargs)

    return build


class _SkipOnly(nn.Module):
    """A block on a skip that ignores the upsampled features."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block: Any = block

    def forward(self, skip: Tensor, gating: Tensor) -> Tensor:
        y: Tensor = self.block(skip)
        return y

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> np.int64:
        """Elements that the block keeps for one sample."""
        count = getattr(self.block, "compute_conv_feature_map_size", None)
        elements: np.int64 = np.int64(0 if count is None else count(input_size))
        return elements


def _skip_only(build: Builder) -> Builder:
    return lambda *args, **kwargs: _SkipOnly(build(*args, **kwargs))


_NORM = ("norm_op", "norm_op_kwargs")
_NONLIN = ("nonlin", "nonlin_kwargs")
_SE = _taking(SqueezeExcite)
_CBAM = _taking(CBAM, "conv_op")

#: Replaces the first convolutions at full resolution.
STEMS: dict[str, Callable[..., nn.Module] | None] = {
    "plain": None,
    "mff": MultiScaleFusion,
    "inception": Inception,
}
#: Follows the convolutions of an encoder stage.
STAGES: dict[str, Builder | None] = {
    "plain": None,
    "aspp": _taking(ASPP, "conv_op", "kernel_size", "conv_bias", "map_size", *_NORM, *_NONLIN),
}
#: Acts on the features of lowest resolution.
BOTTLENECKS: dict[str, Builder | None] = {
    "plain": None,
    "se": _SE,
    "eca": _taking(EfficientChannelAttention),
    "cbam": _CBAM,
    "nonlocal": _taking(NonLocal, "conv_op", *_NORM),
    "da": _taking(DualAttention, "conv_op"),
    "transformer": _taking(TransformerLayer),
    "conv": _taking(BareConvolution, "conv_op", "kernel_size", *_NONLIN),
}
#: Acts on a skip, given the upsampled features that it is concatenated to.
SKIPS: dict[str, Builder | None] = {
    "plain": None,
    "lgag": _taking(LargeKernelGate, "conv_op", "kernel_size", "gating_channels", *_NORM),
    "attention": _taking(AdditiveGate, "conv_op", "gating_channels"),
    "se": _skip_only(_SE),
    "cbam": _skip_only(_CBAM),
    "sam": _skip_only(_taking(SpatialGate, "conv_op")),
}
#: Goes around the convolutions of a stage.
WRAPS: dict[str, Callable[..., nn.Module] | None] = {"plain": None, "shortcut": Shortcut}


SLOTS: dict[str, Mapping[str, Callable[..., nn.Module] | None]] = {
    "stem": STEMS,
    "stage": STAGES,
    "wrap": WRAPS,
    "bottleneck": BOTTLENECKS,
    "skip": SKIPS,
}


def choose(who: str, slot: str, name: str, *options: Any) -> Callable[..., nn.Module] | None:
    """The block called ``name``, or None for 'plain'; ``who`` names the network in error messages.

    >>> choose("UNet", "wrap", "shortcut").__name__
    'Shortcut'

    Raises:
        ValueError: unknown name, or ``options`` for a slot that is plain.
    """
    blocks = SLOTS[slot]
    if name not in blocks:
        raise ValueError(
            f"{who} {slot}: no block called {name!r}; known: {', '.join(nearest_first(name, blocks))}"
        )
    if name == "plain" and any(options):
        given = next(option for option in options if option)
        raise ValueError(
            f"{who}: {given} is given for {slot}, which is plain and takes nothing; name its block as "
            f"{slot} too, or leave them out"
        )
    return blocks[name]
