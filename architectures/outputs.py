"""Declaration of what a network returns under deep supervision."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Output:
    """One entry of the list that a network returns under deep supervision.

    Attributes:
        kind: 'logits' (of the decoder), 'auxiliary' (logits of another head) or 'attention' (a map of one
            channel, 0 to 1).
        stride: input voxels per output voxel along each axis. An axis of n voxels becomes ceil(n / stride).
    """

    kind: str
    stride: tuple[int, ...]
