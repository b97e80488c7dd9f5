"""MONAI's networks for volumes with two channels, image and image within the mask, and one logit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from monai.networks.nets import DenseNet, resnet18
from torch import Tensor, nn
from torch.nn import functional as F

CHANNELS = 2


class _Halve(nn.Module):
    """Mean of pairs along each axis that has a pair: the sixteen slices of the paper are one before the others."""

    def forward(self, x: Tensor) -> Tensor:
        pairs = [min(2, size) for size in x.shape[2:]]
        return F.avg_pool3d(x, pairs, pairs)


def _densenet(**arguments: Any) -> nn.Module:
    network: nn.Module = DenseNet(spatial_dims=3, in_channels=CHANNELS, out_channels=1, **arguments)
    parents = [
        one for one in network.modules() if isinstance(getattr(one, "pool", None), nn.AvgPool3d)
    ]
    for parent in parents:
        parent.pool = _Halve()
    return network


def _densenet121() -> nn.Module:
    return _densenet(init_features=64, growth_rate=32, block_config=(6, 12, 24, 16))


def _densenet_small() -> nn.Module:
    return _densenet(init_features=16, growth_rate=8, block_config=(3, 3, 3))


def _resnet18() -> nn.Module:
    network: nn.Module = resnet18(spatial_dims=3, n_input_channels=CHANNELS, num_classes=1)
    return network


#: Name -> network from (B, 2, z, y, x) to (B, 1); the small one is for trials without a GPU.
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "densenet121": _densenet121,
    "resnet18": _resnet18,
    "densenet-small": _densenet_small,
}


def build(name: str, seed: int) -> nn.Module:
    """Return a network with random weights.

    Args:
        name: in `NETWORKS`.
        seed: equal seeds give equal weights.

    >>> build("densenet-small", 0)(torch.zeros(2, 2, 4, 32, 32)).shape
    torch.Size([2, 1])
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return NETWORKS[name]()
