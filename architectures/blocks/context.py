"""Context block at the bottleneck: maxima over growing windows, and over whole axes (paper 002)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from dynamic_network_architectures.building_blocks.helper import maybe_convert_scalar_to_list
from torch import Tensor, nn
from torch.nn import functional as F

from architectures.blocks.convolution import Convolution
from architectures.blocks.scaling import enlarge

if TYPE_CHECKING:
    from collections.abc import Sequence

POOL = {2: F.max_pool2d, 3: F.max_pool3d}


class Context(nn.Module):
    """Two views of the map t, which is x through C // reduction channels, then back to C. No residual path.

    The text of the paper has no equation for it; these are the figures of the network that its authors
    published. With V a convolution with normalisation (and no more), W one with dropout and nonlinearity too::

        t = W_1(x)
        a = W_k(nonlin(sum over windows p of up(V_k(max over p^rank of W_1(t)))))
        b = W_k(nonlin(sum over axes i of V_k without i(max along i of W_1(t))))
        y = conv_1(W_k(nonlin(V_1([a, b]) + t)))

    up interpolates linearly, corner on corner; what is left of an axis is repeated along it. The published
    windows of b are as long as the bottleneck of its patch, 12 x 12 x 8; here they are as long as the map. So it
    takes maps of any size: a window is cut to the map, and as no norm can be taken of one voxel, it is halved,
    and the axis kept, where only one would be left.

    Shapes: (B, C, *S) -> (B, C, *S); S has the rank of ``conv_op``.

    Args:
        channels: C.
        conv_op: ``nn.Conv2d`` or ``nn.Conv3d``.
        kernel_size: k, odd; a number or one an axis.
        conv_bias: bias of the convolutions; the last has none, as published.
        norm_op: normalisation class, or None.
        norm_op_kwargs: its arguments.
        dropout_op: dropout class, or None.
        dropout_op_kwargs: its arguments.
        nonlin: nonlinearity class, or None.
        nonlin_kwargs: its arguments.
        windows: p, each with a convolution of its own; 1 is the map as it is.
        reduction: what C is divided by inside.
    """

    def __init__(
        self,
        channels: int,
        *,
        conv_op: type[nn.Module],
        kernel_size: int | Sequence[int] = 3,
        conv_bias: bool = True,
        norm_op: type[nn.Module] | None,
        norm_op_kwargs: dict[str, Any] | None = None,
        dropout_op: type[nn.Module] | None = None,
        dropout_op_kwargs: dict[str, Any] | None = None,
        nonlin: type[nn.Module] | None,
        nonlin_kwargs: dict[str, Any] | None = None,
        windows: Sequence[int] = (1, 2, 4),
        reduction: int = 4,
    ) -> None:
        super().__init__()
        if not windows or any(p < 1 for p in windows):
            raise ValueError(f"Context: windows are {list(windows)}; one or more from 1 are wanted")
        if reduction < 1:
            raise ValueError(f"Context: reduction is {reduction}; it must be 1 or more")
        kernel = list(maybe_convert_scalar_to_list(conv_op, kernel_size))
        inside = max(1, channels // reduction)
        normed = partial(
            Convolution,
            conv_op=conv_op,
            conv_bias=conv_bias,
            norm_op=norm_op,
            norm_op_kwargs=norm_op_kwargs,
        )
        whole = partial(
            normed,
            dropout_op=dropout_op,
            dropout_op_kwargs=dropout_op_kwargs,
            nonlin=nonlin,
            nonlin_kwargs=nonlin_kwargs,
        )
        self.windows = list(windows)
        self.reduce = whole(channels, inside, kernel_size=1)
        self.enter_windows = whole(inside, inside, kernel_size=1)
        self.over_windows = nn.ModuleList(
            normed(inside, inside, kernel_size=kernel) for _ in self.windows
        )
        self.leave_windows = whole(inside, inside, kernel_size=kernel)
        self.enter_axes = whole(inside, inside, kernel_size=1)
        self.over_axes = nn.ModuleList(
            normed(inside, inside, kernel_size=[*kernel[:axis], 1, *kernel[axis + 1 :]])
            for axis in range(len(kernel))
        )
        self.leave_axes = whole(inside, inside, kernel_size=kernel)
        self.join = normed(2 * inside, inside, kernel_size=1)
        self.nonlin = nn.Identity() if nonlin is None else nonlin(**(nonlin_kwargs or {}))
        self.expand = nn.Sequential(
            whole(inside, inside, kernel_size=kernel), conv_op(inside, channels, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[2:]
        t = self.reduce(x)
        a, b = self.enter_windows(t), self.enter_axes(t)
        scales = [
            enlarge(conv(_pooled(a, p)), size)
            for conv, p in zip(self.over_windows, self.windows, strict=True)
        ]
        # Of size 1 along their own axis: the sum repeats them.
        planes = [conv(_collapsed(b, axis)) for axis, conv in enumerate(self.over_axes)]
        a = self.leave_windows(self.nonlin(_sum(scales)))
        b = self.leave_axes(self.nonlin(_sum(planes)))
        return self.expand(self.nonlin(self.join(torch.cat((a, b), 1)) + t))


def _pooled(x: Tensor, window: int) -> Tensor:
    size = x.shape[2:]
    while window > 1 and all(n <= window for n in size):
        window //= 2
    if window == 1:
        return x
    # A window larger than the map is refused in 3D.
    cut = [min(window, n) for n in size]
    return POOL[len(size)](x, cut, cut, ceil_mode=True)


def _collapsed(x: Tensor, axis: int) -> Tensor:
    others = [n for a, n in enumerate(x.shape[2:]) if a != axis]
    return x if all(n == 1 for n in others) else x.amax(axis + 2, keepdim=True)


def _sum(maps: list[Tensor]) -> Tensor:
    total = maps[0]
    for m in maps[1:]:
        total = total + m
    return total
