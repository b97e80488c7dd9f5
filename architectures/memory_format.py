"""Convolutions on the CPU: oneDNN runs some faster in channels-last layout, some plane by plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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
    would be the largest map of its stage. Deep kernels with few outputs run plane by plane (``by_planes``).
    """
    if not is_eager_cpu(x):
        return [conv(x) for conv in convs]
    layout = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
    converted = x.contiguous(memory_format=layout)
    if converted.data_ptr() == x.data_ptr() or not torch.is_grad_enabled():
        return [_convolved(conv, x, converted) for conv in convs]
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
        return [_convolved(conv, x, converted) for conv in convs]


def _convolved(conv: Any, x: Tensor, converted: Tensor) -> Tensor:
    if _is_deep(conv):
        return by_planes(conv, x)
    y: Tensor = conv(x) if all(k == 1 for k in conv.kernel_size) else conv(converted).contiguous()
    return y


def _is_deep(conv: Any) -> bool:
    """Whether ``by_planes`` is defined for this convolution, and faster."""
    return (
        isinstance(conv, nn.Conv3d)
        and conv.kernel_size[0] > 3
        and conv.out_channels < 16
        and conv.padding == tuple(k // 2 for k in conv.kernel_size)
        and (conv.groups, *conv.stride, *conv.dilation) == (1,) * 7
        and conv.padding_mode == "zeros"
        and not conv._forward_hooks  # the module itself is not called
    )


def by_planes(conv: nn.Conv3d, x: Tensor) -> Tensor:
    """``conv(x)`` as one convolution in the plane with a set of outputs per plane of the kernel, moved and added.

    oneDNN computes blocks of 16 output channels. A 5x5x5 convolution from 32 to 8 channels takes half of the time as
    a 1x5x5 convolution to 5 x 8 channels.

    Shapes: (B, C_in, D, H, W) -> (B, C_out, D, H, W); stride 1, odd kernel, padding by half of it.
    """
    outputs, depth = conv.out_channels, conv.kernel_size[0]
    weight = conv.weight.permute(2, 0, 1, 3, 4).flatten(0, 1).unsqueeze(2)
    maps = torch.split(F.conv3d(x, weight, padding=(0, *conv.padding[1:])), outputs, 1)
    y = maps[depth // 2]
    for plane, part in enumerate(maps):
        shift = depth // 2 - plane
        if 0 < abs(shift) < x.shape[2]:
            y = y + F.pad(part, (0, 0, 0, 0, shift, -shift))
    return y if conv.bias is None else y + conv.bias.view(-1, 1, 1, 1)
