"""Stages, widths, kernels and strides of a U-Net as plans give them, checked and an axis at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from dynamic_network_architectures.building_blocks.helper import (
    convert_conv_op_to_dim,
    maybe_convert_scalar_to_list,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

POOLS = ("conv", "max", "avg")


@dataclass(frozen=True)
class Topology:
    """What plans say of the encoder's stages.

    Attributes:
        who: the network, for messages.
        rank: number of spatial axes, 2 or 3.
        widths: channels, one a stage.
        kernels: kernel sizes, one list a stage.
        strides: strides, one list a stage.
        depths: convolutions or residual blocks, one a stage.
        residual: whether the encoder is residual.
        pool: 'conv', 'max' or 'avg'.
    """

    who: str
    rank: int
    widths: list[int]
    kernels: list[list[int]]
    strides: list[list[int]]
    depths: list[int]
    residual: bool
    pool: str

    @classmethod
    def read(
        cls,
        who: str,
        *,
        n_stages: int,
        features_per_stage: int | Sequence[int],
        conv_op: type[nn.Module],
        kernel_sizes: int | Sequence[Any],
        strides: int | Sequence[Any],
        n_conv_per_stage: int | Sequence[int] | None,
        n_blocks_per_stage: int | Sequence[int] | None,
        pool: str = "conv",
    ) -> Topology:
        """The topology in the arguments of nnU-Net's plans.

        Raises:
            ValueError: a wrong number of entries or axes, an even kernel, both or neither kind of encoder.
        """
        if (n_conv_per_stage is None) == (n_blocks_per_stage is None):
            raise ValueError(
                f"{who}: give n_conv_per_stage (plain encoder) or n_blocks_per_stage (residual encoder), "
                f"one of them; got {n_conv_per_stage} and {n_blocks_per_stage}"
            )
        residual = n_conv_per_stage is None
        if pool not in (POOLS[:1] if residual else POOLS):
            allowed = "conv (residual encoder)" if residual else ", ".join(POOLS)
            raise ValueError(f"{who}: pool is {pool!r}; allowed: {allowed}")
        depths = (
            one_each(who, "n_blocks_per_stage", n_blocks_per_stage, n_stages)
            if residual
            else one_each(who, "n_conv_per_stage", n_conv_per_stage, n_stages)
        )
        kernels, steps = (
            [
                [int(n) for n in maybe_convert_scalar_to_list(conv_op, value)]
                for value in one_each(who, what, given, n_stages)
            ]
            for what, given in (("kernel_sizes", kernel_sizes), ("strides", strides))
        )
        topology = cls(
            who=who,
            rank=convert_conv_op_to_dim(conv_op),
            widths=one_each(who, "features_per_stage", features_per_stage, n_stages),
            kernels=kernels,
            strides=steps,
            depths=depths,
            residual=residual,
            pool=pool,
        )
        topology._check()
        return topology

    def _check(self) -> None:
        for what, rows in (("kernel_sizes", self.kernels), ("strides", self.strides)):
            for s, row in enumerate(rows):
                if len(row) != self.rank:
                    raise ValueError(
                        f"{self.who}: {what} of stage {s} is {row}; {self.rank} axes are wanted"
                    )
        for s, row in enumerate(self.strides):
            if any(n < 1 for n in row):
                raise ValueError(
                    f"{self.who}: strides of stage {s} is {row}; every axis must be 1 or more"
                )
        for s, row in enumerate(self.kernels):
            if any(k % 2 == 0 for k in row):
                raise ValueError(
                    f"{self.who}: kernel_sizes of stage {s} is {row}; every axis must be odd"
                )
        bare = [s for s, depth in enumerate(self.depths) if depth < 1]
        passes = self.pool != "conv" and self.widths[-1:] == self.widths[-2:-1]
        if bare and not (bare == [len(self.depths) - 1] and self.depths[-1] == 0 and passes):
            raise ValueError(
                f"{self.who}: the depths of the stages are {self.depths}; only the last can be 0 (pooling alone), "
                "with pool max or avg and the features of the stage before"
            )

    @property
    def reach(self) -> list[list[int]]:
        """Voxels of the input that one voxel of each stage stands for, an axis at a time."""
        return np.cumprod(self.strides, axis=0).tolist()

    @property
    def conv_strides(self) -> list[list[int]]:
        """What each stage's convolutions stride; a pooling before them leaves 1."""
        return self.strides if self.pool == "conv" else [[1] * self.rank] * len(self.strides)

    def sizes(self, size: Sequence[int]) -> list[list[int]]:
        """Spatial size of every stage's map for an input of ``size``, padded as the network pads it."""
        if len(size) != self.rank:
            raise ValueError(
                f"{self.who}: input_size is {tuple(size)}; {self.rank} spatial sizes are wanted, without batch "
                "and channels"
            )
        reach = self.reach
        padded = [-(-int(n) // r) * r for n, r in zip(size, reach[-1], strict=True)]
        return [[n // r for n, r in zip(padded, row, strict=True)] for row in reach]

    def check_input_size(self, size: Sequence[int], *, normalised_by_instance: bool) -> None:
        """Raise ValueError if an input of ``size`` leaves too little at the bottleneck."""
        sizes = self.sizes(size)
        cure = "plan with fewer stages or a larger patch"
        if any(n < r for n, r in zip(size, self.reach[-1], strict=True)):
            raise ValueError(
                f"{self.who}: a patch of {tuple(size)} voxels is too small for {len(self.strides)} stages, whose "
                f"strides multiply to {tuple(self.reach[-1])}; {cure}"
            )
        if normalised_by_instance and np.prod(sizes[-1]) == 1:
            raise ValueError(
                f"{self.who}: a patch of {tuple(size)} voxels leaves one voxel at the bottleneck, and instance "
                f"normalisation wants more; {cure}"
            )


def one_each(who: str, what: str, value: Any, count: int) -> list[Any]:
    """``value`` repeated, or its entries if there are ``count`` of them."""
    values = [value] * count if isinstance(value, int) else list(value)
    if len(values) != count:
        raise ValueError(f"{who}: {what} has {len(values)} entries; {count} are wanted")
    return values
