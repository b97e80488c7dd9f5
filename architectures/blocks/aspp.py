"""Atrous spatial pyramid pooling (Chen et al. 2018, arXiv 1802.02611; cai2023-aspp-unet, section 2.2, fig. 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from dynamic_network_architectures.building_blocks.helper import (
    convert_conv_op_to_dim,
    maybe_convert_scalar_to_list,
)
from torch import Tensor, nn

from architectures.memory_format import convolve_first

if TYPE_CHECKING:
    from collections.abc import Sequence

PAPER = (6, 12, 18)
INSTANCE = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)


class ASPP(nn.Module):
    """Parallel branches of growing receptive field on one map, concatenated and merged.

    The branches are a 1x1 convolution, one dilated 3x3 convolution per dilation, and the mean over the map
    through a 1x1 convolution; a 1x1 convolution merges them. Normalisation and nonlinearity follow each
    convolution. The one on the mean has a bias instead of a normalisation, which fails on the one value per
    channel of a single sample.

    The merging convolution's weights for the mean are applied to the mean itself, and the result is added to
    every voxel: equivalent to concatenating the mean at every voxel. Instance normalisation after the sum would
    remove this constant, and with it the branch; with instance normalisation it is added afterwards.

    Shapes: (B, C, *S) -> (B, C, *S); S has the rank of ``conv_op``.

    >>> aspp = ASPP(8, conv_op=nn.Conv2d, kernel_size=3, norm_op=None, nonlin=nn.ReLU, map_size=[12, 12])
    >>> aspp.dilations
    [[2, 2], [4, 4], [6, 6]]
    >>> aspp(torch.zeros(1, 8, 12, 12)).shape
    torch.Size([1, 8, 12, 12])

    Args:
        channels: C.
        conv_op: ``nn.Conv2d`` or ``nn.Conv3d``.
        kernel_size: the plan's kernel of the stage; axes of size 1 stay 1 and are not dilated.
        norm_op: normalisation class, or None.
        norm_op_kwargs: its arguments.
        nonlin: nonlinearity class, or None.
        nonlin_kwargs: its arguments.
        conv_bias: bias of the convolutions that are normalised.
        map_size: size of the map in voxels, if known.
        dilations: one branch each; a number or one per axis. None for the paper's 6, 12, 18; where half the
            map is less than 18, the largest is half the map and the ratio 1 : 2 : 3 is kept. Up to half the
            map, every voxel has a neighbour at that distance.
        width: channels of each branch; C // 2 if None (not given in the paper: half the channels come closest
            to its number of parameters).
    """

    def __init__(
        self,
        channels: int,
        *,
        conv_op: type[nn.Module],
        kernel_size: int | Sequence[int],
        norm_op: type[nn.Module] | None,
        norm_op_kwargs: dict[str, Any] | None = None,
        nonlin: type[nn.Module] | None,
        nonlin_kwargs: dict[str, Any] | None = None,
        conv_bias: bool = False,
        map_size: Sequence[int] | None = None,
        dilations: Sequence[int | Sequence[int]] | None = None,
        width: int | None = None,
    ) -> None:
        super().__init__()
        rank = convert_conv_op_to_dim(conv_op)
        wide = [k > 1 for k in maybe_convert_scalar_to_list(conv_op, kernel_size)]
        if len(wide) != rank:
            raise ValueError(
                f"ASPP: kernel_size is {kernel_size}; expected a number or {rank}, one per axis"
            )
        inside = max(1, channels // 2) if width is None else width
        if inside < 1:
            raise ValueError(f"ASPP: width is {width}; it must be 1 or more")

        def tail(outputs: int, normed: bool = True) -> list[nn.Module]:
            layers: list[nn.Module] = []
            if normed and norm_op is not None:
                layers.append(norm_op(outputs, **(norm_op_kwargs or {})))
            if nonlin is not None:
                layers.append(nonlin(**(nonlin_kwargs or {})))
            return layers

        self.point = nn.Sequential(conv_op(channels, inside, 1, bias=conv_bias), *tail(inside))
        self.dilated = nn.ModuleList()
        self.dilations = [
            [d if far else 1 for d, far in zip(entry, wide, strict=True)]
            for entry in (
                _fitting([2 * PAPER[-1]] * rank if map_size is None else map_size)
                if dilations is None
                else _one_per_axis(dilations, rank)
            )
        ]
        for dilation in self.dilations:
            conv = conv_op(
                channels,
                inside,
                [3 if far else 1 for far in wide],
                padding=[d if far else 0 for d, far in zip(dilation, wide, strict=True)],
                dilation=dilation,
                bias=conv_bias,
            )
            self.dilated.append(nn.Sequential(conv, *tail(inside)))
        self.pooled = nn.Sequential(
            conv_op(channels, inside, 1),
            *tail(inside, normed=False),
            conv_op(inside, channels, 1, bias=False),
        )
        local = (1 + len(self.dilations)) * inside
        self.merge = conv_op(local, channels, 1, bias=conv_bias)
        self.norm = (
            nn.Identity() if norm_op is None else norm_op(channels, **(norm_op_kwargs or {}))
        )
        self.nonlin = nn.Sequential(*tail(channels, normed=False))
        self.behind = isinstance(self.norm, INSTANCE)
        self.channels, self.width = channels, inside

    def forward(self, x: Tensor) -> Tensor:
        mean: Tensor = self.pooled(x.mean(tuple(range(2, x.ndim)), keepdim=True))
        branches: Any = self.dilated  # three times faster in channels-last layout
        views = [self.point(x), *convolve_first(branches, x)]
        near = self.merge(torch.cat(views, 1))
        y: Tensor = self.norm(near) + mean if self.behind else self.norm(near + mean)
        y = self.nonlin(y)
        return y

    def check_input_size(self, size: Sequence[int]) -> None:
        """Raise ValueError if only the middle tap of a branch falls on a map of ``size`` (no channels)."""
        for dilation in self.dilations:
            for axis, (n, d) in enumerate(zip(size, dilation, strict=True)):
                if d >= n and d > 1:
                    raise ValueError(
                        f"ASPP: dilation {d} on a map of {n} voxels along axis {axis}; a dilation must be "
                        "smaller than the map, else only the middle of its kernel falls on it: use smaller "
                        "dilations, a larger patch or an earlier stage"
                    )

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> np.int64:
        """Elements of all convolution outputs for one sample, as nnU-Net's planner counts them."""
        maps = (1 + len(self.dilations)) * self.width + self.channels
        total: np.int64 = np.prod([maps, *input_size], dtype=np.int64)
        total += self.width + self.channels
        return total


def _fitting(map_size: Sequence[int]) -> list[list[int]]:
    """The paper's dilations, scaled down along each axis until the largest is at most half the map."""
    largest = PAPER[-1]
    return [[max(1, round(d * min(largest, n // 2) / largest)) for n in map_size] for d in PAPER]


def _one_per_axis(dilations: Sequence[int | Sequence[int]], rank: int) -> list[list[int]]:
    """Each entry as a list of ``rank`` integers, 1 or more."""
    entries = [[d] * rank if isinstance(d, int) else d for d in dilations]
    if not entries or not all(
        isinstance(entry, list | tuple)
        and len(entry) == rank
        and all(isinstance(d, int) and not isinstance(d, bool) and d >= 1 for d in entry)
        for entry in entries
    ):
        raise ValueError(
            f"ASPP: dilations are {dilations!r}; expected one or more, each an integer of 1 or more or "
            f"{rank} of them, one per axis"
        )
    return [list(entry) for entry in entries]
