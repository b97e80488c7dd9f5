"""Context block at the bottleneck: maxima over growing windows and over entire axes (sij-fm-25d-attention-unet)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from dynamic_network_architectures.building_blocks.helper import maybe_convert_scalar_to_list
from torch import Tensor, nn
from torch.nn import functional as F

from architectures.blocks.convolution import Convolution
from architectures.blocks.scaling import enlarge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from architectures.layers import Layers

POOL = {2: F.max_pool2d, 3: F.max_pool3d}


class Context(nn.Module):
    """Two views of the map t, which is x reduced to C // reduction channels, then expanded to C. No residual path.

    The text of the paper has no equation for it; these follow the figures of the network that its authors
    published. V is a convolution with normalisation, W one with dropout and nonlinearity as well::

        t = W_1(x)
        a = W_k(nonlin(sum over windows p of up(V_k(max over p^rank of W_1(t)))))
        b = W_k(nonlin(sum over axes i of V_k without i(max along i of W_1(t))))
        y = conv_1(W_k(nonlin(V_1([a, b]) + t)))

    up interpolates linearly with aligned corners; a collapsed axis is repeated. The published windows of b are
    as long as the bottleneck of the paper's patch, 12 x 12 x 8; here they are as long as the map, so any map
    size works. A window is cut to the map. Where one voxel would remain, which cannot be normalised, the window
    is halved or the axis is kept.

    Shapes: (B, C, *S) -> (B, C, *S); S has the rank of ``layers``.

    >>> from architectures.layers import Layers
    >>> context = Context(8, Layers(conv_op=nn.Conv2d, nonlin=nn.ReLU), windows=(1, 2))
    >>> context(torch.zeros(1, 8, 4, 6)).shape
    torch.Size([1, 8, 4, 6])

    Args:
        channels: C.
        layers: the layer types; the last convolution has no bias, as published.
        kernel_size: k, odd; a number or one per axis.
        windows: p, one convolution for each; 1 is the map itself.
        reduction: ratio of C to the channels inside.
    """

    def __init__(
        self,
        channels: int,
        layers: Layers,
        *,
        kernel_size: int | Sequence[int] = 3,
        windows: Sequence[int] = (1, 2, 4),
        reduction: int = 4,
    ) -> None:
        super().__init__()
        if not windows or any(p < 1 for p in windows):
            raise ValueError(
                f"Context: windows are {list(windows)}; expected one or more, each 1 or more"
            )
        if reduction < 1:
            raise ValueError(f"Context: reduction is {reduction}; it must be 1 or more")
        kernel = list(maybe_convert_scalar_to_list(layers.conv_op, kernel_size))
        inside = max(1, channels // reduction)

        def full(size: int | Sequence[int], inputs: int = inside) -> Convolution:
            return Convolution(inputs, inside, layers, kernel_size=size)

        def normed(size: int | Sequence[int], inputs: int = inside) -> Convolution:
            return Convolution(inputs, inside, layers.without_activation(), kernel_size=size)

        self.windows = list(windows)
        self.reduce = full(1, channels)
        self.enter_windows = full(1)
        self.over_windows = nn.ModuleList(normed(kernel) for _ in self.windows)
        self.leave_windows = full(kernel)
        self.enter_axes = full(1)
        self.over_axes = nn.ModuleList(
            normed([*kernel[:axis], 1, *kernel[axis + 1 :]]) for axis in range(len(kernel))
        )
        self.leave_axes = full(kernel)
        self.join = normed(1, 2 * inside)
        self.nonlin = layers.activation()
        self.expand = nn.Sequential(full(kernel), layers.conv_op(inside, channels, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[2:]
        t: Tensor = self.reduce(x)
        a, b = self.enter_windows(t), self.enter_axes(t)
        scales = [
            enlarge(conv(_pooled(a, p)), size)
            for conv, p in zip(self.over_windows, self.windows, strict=True)
        ]
        # Size 1 along the collapsed axis: the sum broadcasts.
        planes = [conv(_collapsed(b, axis)) for axis, conv in enumerate(self.over_axes)]
        a = self.leave_windows(self.nonlin(_sum(scales)))
        b = self.leave_axes(self.nonlin(_sum(planes)))
        y: Tensor = self.expand(self.nonlin(self.join(torch.cat((a, b), 1)) + t))
        return y


def _pooled(x: Tensor, window: int) -> Tensor:
    size = x.shape[2:]
    while window > 1 and all(n <= window for n in size):
        window //= 2
    if window == 1:
        return x
    # max_pool3d rejects a window larger than the map.
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
