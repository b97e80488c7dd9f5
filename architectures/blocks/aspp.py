"""Atrous spatial pyramid pooling (Chen et al. 2018, arXiv 1802.02611; paper 004, section 2.2, fig. 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from dynamic_network_architectures.building_blocks.helper import (
    convert_conv_op_to_dim,
    maybe_convert_scalar_to_list,
)
from torch import Tensor, nn

from architectures.instance_norm import without_view
from architectures.memory_format import convolve_first

if TYPE_CHECKING:
    from collections.abc import Sequence

PAPER = (6, 12, 18)
INSTANCE = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)


class ASPP(nn.Module):
    """Parallel views of one map from near to far, concatenated and merged.

    A 1x1 convolution, a dilated 3x3 convolution for each dilation, and the mean of the whole map through a
    1x1 convolution; then a 1x1 convolution merges them. Normalisation and nonlinearity follow each
    convolution, but not the one on the mean: with one sample that is one value a channel, which no
    normalisation can take. It has a bias instead.

    The merging convolution's share for the mean is applied to the mean itself and added everywhere: the same
    as to write the mean back to every voxel and concatenate. An instance normalisation after it would take
    out again what is the same at all voxels of a sample, the whole branch; there it is added behind.

    Shapes: (B, C, *S) -> (B, C, *S); S has the rank of ``conv_op``.

    Args:
        channels: C.
        conv_op: ``nn.Conv2d`` or ``nn.Conv3d``.
        kernel_size: the plan's kernel of the stage; axes of size 1 stay 1 and are not dilated.
        norm_op: normalisation class, or None.
        norm_op_kwargs: its arguments.
        nonlin: nonlinearity class, or None.
        nonlin_kwargs: its arguments.
        conv_bias: bias of the convolutions that are normalised.
        map_size: voxels of the map an axis, if known.
        dilations: one branch each; a number or one number an axis. None takes the paper's 6, 12, 18; where
            half the map is less than 18, it takes half the map for the largest and keeps 1 to 2 to 3. Up to
            half the map, every voxel has another one at that distance.
        width: channels of each branch; C // 2 if None (the paper does not give it: half comes nearest to its
            number of parameters).
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
                f"ASPP: kernel_size is {kernel_size}; give a number or {rank}, one an axis"
            )
        inside = max(1, channels // 2) if width is None else width
        if inside < 1:
            raise ValueError(f"ASPP: width is {width}; it must be 1 or more")

        def tail(outputs: int, normed: bool = True) -> list[nn.Module]:
            layers = []
            if normed and norm_op is not None:
                layers.append(without_view(norm_op)(outputs, **(norm_op_kwargs or {})))
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
                else _one_an_axis(dilations, rank)
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
            nn.Identity()
            if norm_op is None
            else without_view(norm_op)(channels, **(norm_op_kwargs or {}))
        )
        self.nonlin = nn.Sequential(*tail(channels, normed=False))
        self.behind = isinstance(self.norm, INSTANCE)
        self.channels, self.width = channels, inside

    def forward(self, x: Tensor) -> Tensor:
        whole = self.pooled(x.mean(tuple(range(2, x.ndim)), keepdim=True))
        branches: Any = self.dilated  # dilated convolutions are three times faster in that layout
        views = [self.point(x), *convolve_first(branches, x)]
        near = self.merge(torch.cat(views, 1))
        y = self.norm(near) + whole if self.behind else self.norm(near + whole)
        return self.nonlin(y)

    def check_input_size(self, size: Sequence[int]) -> None:
        """Raise if a branch would see nothing but its middle tap on a map of ``size`` (no channels)."""
        for dilation in self.dilations:
            for axis, (n, d) in enumerate(zip(size, dilation, strict=True)):
                if d >= n and d > 1:
                    raise ValueError(
                        f"ASPP: dilation {d} on a map of {n} voxels along axis {axis}; a dilation must be "
                        "smaller than the map, else only the middle of its kernel lies on it: use smaller "
                        "dilations, a larger patch or an earlier stage"
                    )

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> np.int64:
        """Elements of all convolution outputs for one sample, as nnU-Net's planner counts them."""
        maps = (1 + len(self.dilations)) * self.width + self.channels
        return np.prod([maps, *input_size], dtype=np.int64) + np.int64(self.width + self.channels)


def _fitting(map_size: Sequence[int]) -> list[list[int]]:
    """The paper's dilations, an axis at a time shrunk in proportion until the largest is half the map."""
    largest = PAPER[-1]
    return [[max(1, round(d * min(largest, n // 2) / largest)) for n in map_size] for d in PAPER]


def _one_an_axis(dilations: Sequence[int | Sequence[int]], rank: int) -> list[list[int]]:
    """Each entry as a list of ``rank`` whole numbers from 1."""
    entries = [[d] * rank if isinstance(d, int) else d for d in dilations]
    if not entries or not all(
        isinstance(entry, list | tuple)
        and len(entry) == rank
        and all(isinstance(d, int) and not isinstance(d, bool) and d >= 1 for d in entry)
        for entry in entries
    ):
        raise ValueError(
            f"ASPP: dilations are {dilations!r}; one or more are wanted, each a whole number from 1 or "
            f"{rank} of them, one an axis"
        )
    return [list(entry) for entry in entries]
