"""Widths, kernels and strides of a U-Net's stages, checked and with one entry per axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from dynamic_network_architectures.building_blocks.helper import maybe_convert_scalar_to_list

if TYPE_CHECKING:
    from collections.abc import Sequence

    from architectures.plan import Plan

POOLS = ("conv", "max", "avg")


@dataclass(frozen=True)
class Topology:
    """The encoder's stages. Every list has one entry per stage.

    Attributes:
        who: name of the network, for error messages.
        rank: number of spatial axes, 2 or 3.
        widths: channels.
        kernels: kernel size per axis.
        strides: stride per axis.
        depths: convolutions, or residual blocks.
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
    def read(cls, who: str, plan: Plan, *, pool: str = "conv") -> Topology:
        """The topology of ``plan``; ``who`` names the network in error messages.

        Raises:
            ValueError: wrong number of entries or axes, an even kernel, an unsupported pooling, or not exactly
                one of n_conv_per_stage and n_blocks_per_stage.
        """
        residual = plan.n_conv_per_stage is None
        if residual == (plan.n_blocks_per_stage is None):
            raise ValueError(
                f"{who}: expected either n_conv_per_stage (plain encoder) or n_blocks_per_stage (residual encoder), "
                f"got {plan.n_conv_per_stage} and {plan.n_blocks_per_stage}"
            )
        if pool not in (POOLS[:1] if residual else POOLS):
            allowed = "conv (residual encoder)" if residual else ", ".join(POOLS)
            raise ValueError(f"{who}: pool is {pool!r}; allowed: {allowed}")

        def per_stage(what: str) -> list[Any]:
            return one_per_stage(who, what, getattr(plan, what), plan.n_stages)

        def per_axis(what: str) -> list[list[int]]:
            return [
                [int(n) for n in maybe_convert_scalar_to_list(plan.conv_op, value)]
                for value in per_stage(what)
            ]

        topology = cls(
            who=who,
            rank=plan.rank,
            depths=per_stage("n_blocks_per_stage" if residual else "n_conv_per_stage"),
            widths=per_stage("features_per_stage"),
            kernels=per_axis("kernel_sizes"),
            strides=per_axis("strides"),
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
                        f"{self.who}: {what} of stage {s} is {row}; expected {self.rank} axes"
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
                "with pool max or avg and the features of the previous stage"
            )

    @property
    def reach(self) -> list[list[int]]:
        """Input voxels per voxel of each stage's map, along each axis."""
        reach: list[list[int]] = np.cumprod(self.strides, axis=0).tolist()
        return reach

    @property
    def conv_strides(self) -> list[list[int]]:
        """Stride of each stage's convolutions: 1 where a pooling comes before them."""
        return self.strides if self.pool == "conv" else [[1] * self.rank] * len(self.strides)

    def sizes(self, size: Sequence[int]) -> list[list[int]]:
        """Spatial size of each stage's map for an input of ``size``, padded to a multiple of the strides."""
        if len(size) != self.rank:
            raise ValueError(
                f"{self.who}: input_size is {tuple(size)}; expected {self.rank} spatial sizes, without batch "
                "and channels"
            )
        reach = self.reach
        padded = [-(-int(n) // r) * r for n, r in zip(size, reach[-1], strict=True)]
        return [[n // r for n, r in zip(padded, row, strict=True)] for row in reach]

    def check_input_size(self, size: Sequence[int], *, normalised_by_instance: bool) -> None:
        """Raise ValueError if an input of ``size`` is too small at the bottleneck."""
        sizes = self.sizes(size)
        fix = "plan with fewer stages or a larger patch"
        if any(n < r for n, r in zip(size, self.reach[-1], strict=True)):
            raise ValueError(
                f"{self.who}: a patch of {tuple(size)} voxels is too small for {len(self.strides)} stages, whose "
                f"strides multiply to {tuple(self.reach[-1])}; {fix}"
            )
        if normalised_by_instance and np.prod(sizes[-1]) == 1:
            raise ValueError(
                f"{self.who}: a patch of {tuple(size)} voxels leaves one voxel at the bottleneck, and instance "
                f"normalisation needs more; {fix}"
            )


def one_per_stage(who: str, what: str, value: Any, count: int) -> list[Any]:
    """A number repeated ``count`` times, or a list of ``count`` entries as it is.

    >>> one_per_stage("UNet", "features_per_stage", 32, 2)
    [32, 32]

    Raises:
        ValueError: None, or another number of entries; ``who`` and ``what`` name network and argument.
    """
    if value is None:
        raise ValueError(f"{who}: {what} is missing; expected a number or {count} entries")
    values = [value] * count if isinstance(value, int) else list(value)
    if len(values) != count:
        raise ValueError(f"{who}: {what} has {len(values)} entries, expected {count}")
    return values
