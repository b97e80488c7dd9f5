"""Data sheets of GPUs, and estimates of a step's duration on them.

Training steps of these networks are bound by memory bandwidth. The bytes that a step moves, at 0.4 of the GPU's
bandwidth, reproduce within 12 % the times that nnU-Net published for its own U-Net (v1's 'expected epoch times',
Task003_Liver 3d_fullres with dummy loading, 250 training and 50 validation steps per epoch): 41.1 s on an A100,
80.1 s on a V100 SXM2, 101.5 s on an RTX 2080 Ti.
"""

from __future__ import annotations

from dataclasses import dataclass

from architectures.suggestions import nearest_first
from nnunet_plugins.costs.footprint import Footprint
from nnunet_plugins.errors import UserError

BANDWIDTH_SHARE = 0.4
COMPUTE_SHARE = 0.5


@dataclass(frozen=True)
class Gpu:
    """Data sheet of a GPU.

    Attributes:
        memory: GB.
        teraflops: dense, fp16 on tensor cores with fp32 sums.
        bandwidth: GB/s.
    """

    memory: float
    teraflops: float
    bandwidth: float

    def seconds(self, footprint: Footprint) -> float:
        """Estimate the duration of a training step in fp16."""
        moving = footprint.moved_bytes / (BANDWIDTH_SHARE * self.bandwidth * 1e9)
        computing = footprint.flops / (COMPUTE_SHARE * self.teraflops * 1e12)
        return max(moving, computing)


GPUS: dict[str, Gpu] = {
    "T4": Gpu(16, 65, 320),
    "RTX2080Ti": Gpu(11, 54, 616),
    "RTX3090": Gpu(24, 71, 936),
    "RTX4090": Gpu(24, 165, 1008),
    "RTXA6000": Gpu(48, 155, 768),
    "L4": Gpu(24, 121, 300),
    "L40S": Gpu(48, 362, 864),
    "V100": Gpu(32, 125, 900),
    "A100": Gpu(40, 312, 1555),
    "A100-80": Gpu(80, 312, 2039),
    "H100": Gpu(80, 989, 3350),
    "H200": Gpu(141, 989, 4800),
}


def find_gpu(name: str) -> Gpu:
    """Return the GPU called ``name``.

    Raises:
        UserError: unknown name; the message lists the known names, nearest first.

    >>> find_gpu("RTX3090").memory
    24
    """
    if name not in GPUS:
        known = ", ".join(nearest_first(name, GPUS))
        raise UserError(f"no GPU called {name!r}; known, the nearest first: {known}")
    return GPUS[name]
