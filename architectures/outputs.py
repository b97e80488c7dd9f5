"""What a network returns under deep supervision, told by the network itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Output:
    """One entry of the list that a network returns under deep supervision.

    Attributes:
        kind: 'logits' (the decoder's), 'auxiliary' (logits of a further head) or 'attention' (a map of one
            channel in 0 to 1).
        stride: voxels of the input that one voxel of the output stands for, an axis at a time. An axis of n
            voxels comes out with ceil(n / stride).
    """

    kind: str
    stride: tuple[int, ...]
