"""Memory layout for the convolutions that oneDNN runs faster on channels-last maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterable


def is_eager_cpu(x: Tensor) -> bool:
    """Whether ``x`` has data, on the CPU, and is worked on right away: neither compiled nor traced.

    A map without data, on which memory is counted, stands for one on a card.
    """
    if x.device.type != "cpu" or torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    return x.untyped_storage().device.type != "meta"


def convolve_first(layers: Iterable[nn.Module], x: Tensor) -> Tensor:
    """``layers`` one after the other, the first, a convolution, as in :func:`convolve`."""
    conv, *others = layers
    x = convolve(conv, x)
    for layer in others:
        x = layer(x)
    return x


def convolve(conv: nn.Module, x: Tensor) -> Tensor:
    """``conv(x)``, on the CPU computed in channels-last layout; x (B, C, *S), result contiguous.

    Grouped and narrow wide-kernel convolutions run two to three times faster so; plain 3x3x3 ones and
    normalisations do not, so a block asks for it where it pays. For the backward pass the map is kept as it
    came, where others keep it anyway, and turned again: a second copy would be the largest map of its stage.
    """
    if not is_eager_cpu(x):
        return conv(x)
    layout = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
    turned = x.contiguous(memory_format=layout)
    if turned.data_ptr() == x.data_ptr() or not torch.is_grad_enabled():
        return conv(turned).contiguous()
    kept, version, where = x.detach(), x._version, turned.data_ptr()

    def pack(tensor: Tensor) -> Tensor | None:
        return None if tensor.data_ptr() == where else tensor

    def unpack(packed: Tensor | None) -> Tensor:
        if packed is not None:
            return packed
        if kept._version != version:
            raise RuntimeError(
                "the input of a convolution was changed in place before its backward pass"
            )
        return kept.contiguous(memory_format=layout)

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        return conv(turned).contiguous()
