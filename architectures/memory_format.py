"""Channels-last layout for the convolutions that oneDNN runs faster in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def is_eager_cpu(x: Tensor) -> bool:
    """Whether ``x`` has data on the CPU and is processed eagerly, neither compiled nor traced.

    A map without data, on which memory is counted, represents one on a GPU.
    """
    traced = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    if x.device.type != "cpu" or torch.compiler.is_compiling() or traced:
        return False
    return x.untyped_storage().device.type != "meta"


def convolve(conv: nn.Module, x: Tensor) -> Tensor:
    """``conv(x)`` for x (B, C, *S), computed in channels-last layout on the CPU; the result is contiguous."""
    return convolve_all([conv], x)[0]


def convolve_first(branches: Iterable[Iterable[nn.Module]], x: Tensor) -> list[Tensor]:
    """Apply each branch, a sequence of layers, to ``x``; the first layers, convolutions, run as in convolve_all."""
    rows = [list(branch) for branch in branches]
    results = convolve_all([row[0] for row in rows], x)
    for i, row in enumerate(rows):
        for layer in row[1:]:
            results[i] = layer(results[i])
    return results


def convolve_all(convs: Sequence[nn.Module], x: Tensor) -> list[Tensor]:
    """``conv(x)`` for each, computed on the CPU in channels-last layout, to which x is converted once.

    Grouped convolutions and those with few channels and large kernels run two to three times faster; plain
    3x3x3 convolutions and normalisations do not, so a block requests it only where it helps. The backward pass
    keeps x in its original layout, in which other layers keep it anyway, and converts it again: a second copy
    would be the largest map of its stage.
    """
    if not is_eager_cpu(x):
        return [conv(x) for conv in convs]
    layout = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
    converted = x.contiguous(memory_format=layout)
    if converted.data_ptr() == x.data_ptr() or not torch.is_grad_enabled():
        return [conv(converted).contiguous() for conv in convs]
    kept, version, pointer = x.detach(), x._version, converted.data_ptr()

    def pack(tensor: Tensor) -> Tensor | None:
        return None if tensor.data_ptr() == pointer else tensor

    def unpack(packed: Tensor | None) -> Tensor:
        if packed is not None:
            return packed
        if kept._version != version:
            raise RuntimeError(
                "the input of a convolution was changed in place before its backward pass"
            )
        return kept.contiguous(memory_format=layout)

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        return [conv(converted).contiguous() for conv in convs]
