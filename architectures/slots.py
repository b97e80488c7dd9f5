"""The places of the U-Net where a block can sit, and what can sit there.

Each slot is a dict from the name that plans carry to the block; None leaves nnU-Net's own layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from architectures.blocks.attention_gate import LargeKernelGate
from architectures.blocks.dual_attention import DualAttention
from architectures.blocks.multiscale import MultiScaleFusion
from architectures.blocks.squeeze_excite import SqueezeExcite

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import nn

    Block = Callable[..., nn.Module] | None


def _any_rank(block: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """A block that works at any rank: it is not told the convolution class."""
    return lambda channels, *, conv_op, **kwargs: block(channels, **kwargs)


#: Stands in for the first convolutions at full resolution.
STEMS: dict[str, Block] = {"plain": None, "mff": MultiScaleFusion}
#: Acts on the features of lowest resolution.
BOTTLENECKS: dict[str, Block] = {
    "plain": None,
    "se": _any_rank(SqueezeExcite),
    "da": DualAttention,
}
#: Acts on a skip, given the upsampled features that it is concatenated with.
SKIPS: dict[str, Block] = {"plain": None, "lgag": LargeKernelGate}


def choose(slot: str, choices: Mapping[str, Block], name: str) -> Callable[..., nn.Module] | None:
    """The block called ``name``; an unknown name is answered with the known ones."""
    if name not in choices:
        raise ValueError(f"{slot}: no block called {name!r}; known: {', '.join(sorted(choices))}")
    return choices[name]
