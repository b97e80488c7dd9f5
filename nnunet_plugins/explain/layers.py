"""The layers of a network that output maps, by name, and the default layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from architectures.suggestions import nearest_first
from nnunet_plugins.errors import UserError

#: The encoder's last layer in our networks; the first that exists counts. UNETR's bottleneck holds tokens, not maps.
_LAST = ("bottleneck", "squeeze", "context", "network.decoder5.transp_conv")
_ENCODERS = ("encoder", "backbone")


@dataclass(frozen=True)
class Layer:
    """A module that outputs one map.

    Attributes:
        name: its path in the network.
        kind: its class.
        channels: channels of its output.
        size: size of its output for the plans' patch, in voxels.
    """

    name: str
    kind: str
    channels: int
    size: tuple[int, ...]

    @property
    def voxels(self) -> int:
        """Number of voxels of its output."""
        return int(torch.Size(self.size).numel())


def layers_of(network: nn.Module, channels: int, patch: Sequence[int]) -> list[Layer]:
    """Run one empty patch and return the layers that output maps, in the order in which they finish.

    Args:
        network: in any mode; the mode is restored.
        channels: channels of the image.
        patch: patch size in voxels.

    >>> network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.MaxPool2d(2))
    >>> [(layer.name, layer.channels, layer.size) for layer in layers_of(network, 1, (8, 8))]
    [('0', 4, (8, 8)), ('1', 4, (4, 4))]
    """
    found: dict[str, Layer] = {}

    def look(name: str, module: nn.Module) -> torch.utils.hooks.RemovableHandle:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            if isinstance(output, Tensor) and output.ndim == len(patch) + 2:
                found.pop(name, None)
                size = tuple(output.shape[2:])
                found[name] = Layer(name, type(module).__name__, output.shape[1], size)

        return module.register_forward_hook(hook)

    training = network.training
    handles = [look(name, module) for name, module in network.named_modules() if name]
    try:
        device = next(network.parameters()).device
        with torch.no_grad():
            network.eval()(torch.zeros(1, channels, *patch, device=device))
    finally:
        network.train(training)
        for handle in handles:
            handle.remove()
    return list(found.values())


def default_layer(layers: Sequence[Layer]) -> str:
    """The bottleneck: the encoder's last layer."""
    names = [layer.name for layer in layers]
    for name in _LAST:
        if name in names:
            return name
    stages = [name for name in names if name.startswith("encoder.stages.") and name.count(".") == 2]
    if stages:
        return max(stages, key=lambda name: int(name.rpartition(".")[2]))
    inside = [layer for layer in layers if set(layer.name.split(".")) & set(_ENCODERS)] or layers
    maps = [layer for layer in inside if layer.voxels > 1] or list(inside)
    coarsest = min(layer.voxels for layer in maps)
    return [layer.name for layer in maps if layer.voxels == coarsest][-1]


def find_layer(layers: Sequence[Layer], name: str | None) -> Layer:
    """The layer of this name; the bottleneck without a name.

    Raises:
        UserError: unknown layer; the message lists the nearest names.
    """
    known = {layer.name: layer for layer in layers}
    name = default_layer(layers) if name is None else name
    if name not in known:
        near = ", ".join(nearest_first(name, known)[:5])
        raise UserError(
            f"--layer {name}: no layer of this name outputs a map; nearest: {near} (--list-layers lists all)"
        )
    return known[name]
