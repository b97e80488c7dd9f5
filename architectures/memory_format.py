"""Memory layout for the convolutions that oneDNN runs faster on channels-last maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def is_eager_cpu(x: Tensor) -> bool:
    """Whether ``x`` has data, on the CPU, and is worked on right away: neither compiled nor traced.

    A map without data, on which memory is counted, stands for one on a card.
    """
    if x.device.type != "cpu" or torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    return x.untyped_storage().device.type != "meta"


def convolve(conv: nn.Module, x: Tensor) -> Tensor:
    """``conv(x)``, on the CPU computed in channels-last layout; x (B, C, *S), result contiguous."""
    return convolve_all([conv], x)[0]


def convolve_first(branches: Iterable[Iterable[nn.Module]], x: Tensor) -> list[Tensor]:
    """What layers in a row make of ``x``, branch by branch; the first layers, convolutions, as in convolve_all."""
    rows = [list(branch) for branch in branches]
    results = convolve_all([row[0] for row in rows], x)
    for i, row in enumerate(rows):
        for layer in row[1:]:
            results[i] = layer(results[i])
    return results


def convolve_all(convs: Sequence[nn.Module], x: Tensor) -> list[Tensor]:
    """``conv(x)`` of each, on the CPU computed in channels-last layout, to which x is turned once.

    Grouped and narrow wide-kernel convolutions run two to three times faster so; plain 3x3x3 ones and
    normalisations do not, so a block asks for it where it pays. For the backward pass the map is kept as it
    came, where others keep it anyway, and turned again: a second copy would be the largest map of its stage.
    """
    if not is_eager_cpu(x):
        return [conv(x) for conv in convs]
    layout = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
    turned = x.contiguous(memory_format=layout)
    if turned.data_ptr() == x.data_ptr() or not torch.is_grad_enabled():
        return [conv(turned).contiguous() for conv in convs]
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
        return [conv(turned).contiguous() for conv in convs]
