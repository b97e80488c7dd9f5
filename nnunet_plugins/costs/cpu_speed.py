"""How long a step takes on this machine's processor, in fp32 as nnU-Net trains there: told by two short trials.

Real steps of four networks, 2D and 3D, took 0.8 to 1.1 times the estimate at 32 features in the first stage and
1.7 to 2 times at 8, where convolutions are too narrow for the processor's vectors.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from nnunet_plugins.costs.footprint import Footprint


@dataclass(frozen=True)
class Processor:
    """What this machine can do.

    Attributes:
        flops_a_second: floating-point operations of a convolution, forward and backward.
        bytes_a_second: that a norm with its nonlinearity moves, forward and backward.
    """

    flops_a_second: float
    bytes_a_second: float

    def seconds(self, footprint: Footprint) -> float:
        """Estimated time of a training step in fp32; the footprint is of one in fp16."""
        moving = 2 * footprint.moved_bytes / self.bytes_a_second
        return footprint.flops / self.flops_a_second + moving


def probe() -> Processor:
    """Try this machine, for less than a second."""
    data = torch.rand(1, 32, 32, 32, 32, requires_grad=True)
    conv = nn.Conv3d(32, 32, 3, padding=1)
    operations = 3 * 2 * 32 * 27 * data.numel()  # forward, to the input, to the weights
    norm = nn.Sequential(nn.InstanceNorm3d(32, affine=True), nn.LeakyReLU(inplace=True))
    passes = 2 + 2 + 3 + 3  # norm, nonlinearity, and both backward: maps read and written
    return Processor(
        operations / _fastest(lambda: conv(data).sum().backward()),
        passes * data.nbytes / _fastest(lambda: norm(data).sum().backward()),
    )


def _fastest(work: Callable[[], None]) -> float:
    times = []
    for _ in range(4):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)
