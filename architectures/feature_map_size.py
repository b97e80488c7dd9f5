"""Size of the feature maps that a network keeps, determined by a run without data."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.pooling import _MaxUnpoolNd

if TYPE_CHECKING:
    from collections.abc import Sequence


def count_feature_maps(
    network: nn.Module, input_channels: int, input_size: Sequence[int]
) -> np.int64:
    """Elements of all outputs of convolutions, transposed convolutions and linear layers for one sample.

    This is the sum that dynamic-network-architectures' ``compute_conv_feature_map_size`` computes (including
    heads that run), so nnU-Net's planner can compare the two; where the strides do not divide the size, maps
    count at their real size, not rounded down. An unpooling counts as the transposed convolution that it
    replaces. A layer that is called twice counts twice; a layer that is never called does not count, even if its
    weights are used.

    >>> int(count_feature_maps(nn.Conv2d(1, 8, 3, padding=1), 1, [10, 10]))
    800

    Args:
        network: any network with one input; it is not modified, and no memory of its size is allocated.
        input_channels: number of image channels.
        input_size: spatial size, without batch and channels.
    """
    # deepcopy uses the memo's entry for an object: every tensor becomes one without data.
    tensors: dict[int, Any] = {
        id(p): nn.Parameter(torch.empty_like(p, device="meta"), p.requires_grad)
        for p in network.parameters()
    }
    tensors |= {id(b): torch.empty_like(b, device="meta") for b in network.buffers()}
    # In evaluation mode no normalisation requires a second sample; the maps are the same.
    skeleton = copy.deepcopy(network, tensors).eval()

    total = 0

    def add(module: nn.Module, inputs: Any, output: Tensor) -> None:
        nonlocal total
        total += output.numel()

    for module in skeleton.modules():
        if isinstance(module, _ConvNd | nn.Linear | _MaxUnpoolNd):
            module.register_forward_hook(add)
    dtype = next((p.dtype for p in skeleton.parameters()), torch.float32)
    with torch.no_grad():
        skeleton(torch.empty(1, input_channels, *input_size, dtype=dtype, device="meta"))
    elements: np.int64 = np.int64(total)
    return elements
