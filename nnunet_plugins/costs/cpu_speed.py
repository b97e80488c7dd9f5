"""Estimate of a step's duration on this machine's CPU in fp32, from two short trials.

Real steps of four networks, 2D and 3D, took 0.8 to 1.1 times the estimate with 32 features in the first stage, and
1.7 to 2 times with 8, where convolutions are too narrow for the CPU's vector units.
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
    """Measured speed of this machine.

    Attributes:
        flops_per_second: floating-point operations of a convolution, forward and backward.
        bytes_per_second: bytes moved by a norm and its nonlinearity, forward and backward.
    """

    flops_per_second: float
    bytes_per_second: float

    def seconds(self, footprint: Footprint) -> float:
        """Estimate the duration of a training step in fp32 from its footprint in fp16."""
        moving = 2 * footprint.moved_bytes / self.bytes_per_second
        return footprint.flops / self.flops_per_second + moving


def probe() -> Processor:
    """Measure this machine, in less than a second."""
    data = torch.rand(1, 32, 32, 32, 32, requires_grad=True)
    conv = nn.Conv3d(32, 32, 3, padding=1)
    operations = 3 * 2 * 32 * 27 * data.numel()  # forward, to the input, to the weights
    norm = nn.Sequential(nn.InstanceNorm3d(32, affine=True), nn.LeakyReLU(inplace=True))
    passes = 2 + 2 + 3 + 3  # maps read and written by norm and nonlinearity, forward and backward
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
