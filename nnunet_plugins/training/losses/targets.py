"""The target of a loss and its ignored voxels."""

from __future__ import annotations

from torch import Tensor

#: Smoothing term of Dice, as in nnU-Net.
SMOOTH = 1e-5


def split_target(
    target: Tensor, *, regions: bool, ignore_label: int | None
) -> tuple[Tensor, Tensor | None]:
    """The target without its ignored voxels, and the mask (B, 1, *S) of the valid ones; None if all are valid.

    Args:
        target: (B, 1, *S) labels; with ``regions`` (B, R, *S) regions, the ignored voxels in a last channel.
        regions: the target holds regions, which may overlap, not labels.
        ignore_label: the dataset's ignore label, or None.
    """
    if ignore_label is None:
        return target, None
    if regions:
        return target[:, :-1], target[:, -1:] == 0
    valid = target != ignore_label
    return target.where(valid, 0), valid
