"""Graphics cards as data, and how long a step takes on one: estimated, not measured.

A training step of these networks waits for memory: the times that nnU-Net published for its own U-Net (v1's
'expected epoch times', Task003_Liver 3d_fullres with dummy loading: 41.1 s on an A100, 80.1 s on a V100 SXM2,
101.5 s on an RTX 2080 Ti, 250 training and 50 validation steps an epoch) are met within 12 % on all three by the
bytes that a step's operations move, at 0.4 of the card's bandwidth.
"""

from __future__ import annotations

from dataclasses import dataclass

from architectures.suggestions import nearest_first
from nnunet_plugins.costs.footprint import Footprint
from nnunet_plugins.errors import UserError

BANDWIDTH_SHARE = 0.4
COMPUTE_SHARE = 0.5


@dataclass(frozen=True)
class Card:
    """What a data sheet tells.

    Attributes:
        memory: GB.
        teraflops: dense, fp16 on tensor cores with fp32 sums.
        bandwidth: GB/s.
    """

    memory: float
    teraflops: float
    bandwidth: float

    def seconds(self, footprint: Footprint) -> float:
        """Estimated time of a training step in fp16."""
        moving = footprint.moved_bytes / (BANDWIDTH_SHARE * self.bandwidth * 1e9)
        computing = footprint.flops / (COMPUTE_SHARE * self.teraflops * 1e12)
        return max(moving, computing)


CARDS: dict[str, Card] = {
    "T4": Card(16, 65, 320),
    "RTX2080Ti": Card(11, 54, 616),
    "RTX3090": Card(24, 71, 936),
    "RTX4090": Card(24, 165, 1008),
    "RTXA6000": Card(48, 155, 768),
    "L4": Card(24, 121, 300),
    "L40S": Card(48, 362, 864),
    "V100": Card(32, 125, 900),
    "A100": Card(40, 312, 1555),
    "A100-80": Card(80, 312, 2039),
    "H100": Card(80, 989, 3350),
    "H200": Card(141, 989, 4800),
}


def find_card(name: str) -> Card:
    """The card called ``name``.

    Raises:
        UserError: unknown name, with the known ones, the nearest first.
    """
    if name not in CARDS:
        known = ", ".join(nearest_first(name, CARDS))
        raise UserError(f"no card called {name!r}; known, the nearest first: {known}")
    return CARDS[name]
