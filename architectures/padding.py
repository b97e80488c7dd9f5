"""Padding before the encoder and cropping after the decoder, for sizes that the strides do not divide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence


def pad_to_multiple(x: Tensor, multiple: Sequence[int]) -> Tensor:
    """Repeat the last plane of each spatial axis of ``x`` (B, C, *S) up to a multiple of ``multiple``.

    >>> import torch
    >>> pad_to_multiple(torch.zeros(1, 1, 5, 8), [4, 4]).shape
    torch.Size([1, 1, 8, 8])
    """
    missing = [-n % m for n, m in zip(x.shape[2:], multiple, strict=True)]
    if not any(missing):
        return x
    return F.pad(x, [n for m in reversed(missing) for n in (0, m)], mode="replicate")


def crop_to(x: Tensor, size: Sequence[int], stride: Sequence[int]) -> Tensor:
    """Crop ``x`` (B, C, *S) to the size that an input of ``size`` has at ``stride``: ceil(size / stride).

    >>> import torch
    >>> crop_to(torch.zeros(1, 1, 4, 4), [5, 8], [2, 2]).shape
    torch.Size([1, 1, 3, 4])
    """
    for axis, (n, s) in enumerate(zip(size, stride, strict=True), start=2):
        if x.shape[axis] != -(-n // s):
            x = x.narrow(axis, 0, -(-n // s))
    return x
