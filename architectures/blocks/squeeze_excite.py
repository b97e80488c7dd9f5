"""Squeeze-and-excitation channel gate (Hu et al. 2018, arXiv 1709.01507; jing2025-se-unet, section 2.1)."""

from __future__ import annotations

from torch import Tensor, nn

from architectures.blocks.scaling import scale_channels


class SqueezeExcite(nn.Module):
    """Scale each channel by a gate computed from its mean over all spatial axes.

    ``x * sigmoid(W2 relu(W1 mean(x)))`` with bias-free ``W1`` (C/r x C) and ``W2`` (C x C/r).

    Shapes: (B, C, *S) -> (B, C, *S), S of any rank.

    >>> import torch
    >>> SqueezeExcite(32)(torch.zeros(1, 32, 4, 4, 4)).shape
    torch.Size([1, 32, 4, 4, 4])

    Args:
        channels: C.
        reduction: r, 16 in the paper; the hidden width is C // r, at least 1.
    """

    def __init__(self, channels: int, *, reduction: int = 16) -> None:
        super().__init__()
        self.gate = nn.Sequential(*squeeze("SqueezeExcite", channels, reduction), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        gate: Tensor = self.gate(x.flatten(2).mean(-1))
        return scale_channels(x, gate)


def squeeze(who: str, channels: int, reduction: int) -> nn.Sequential:
    """``W2 relu(W1 z)``, bias-free, through C // reduction units; ``who`` names the block in the error."""
    if reduction < 1:
        raise ValueError(f"{who}: reduction is {reduction}; it must be 1 or more")
    hidden = max(1, channels // reduction)
    return nn.Sequential(
        nn.Linear(channels, hidden, bias=False),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, channels, bias=False),
    )
