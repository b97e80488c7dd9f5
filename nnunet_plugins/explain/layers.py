"""The layers of a network that give maps, by name, and the one that is taken where none is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from architectures.suggestions import nearest_first
from nnunet_plugins.errors import UserError

#: Last of the encoder in our networks, the first that is there. UNETR's bottleneck is tokens: the first map of them.
_LAST = ("bottleneck", "squeeze", "context", "network.decoder5.transp_conv")
_ENCODERS = ("encoder", "backbone")


@dataclass(frozen=True)
class Layer:
    """A module whose output is one map.

    Attributes:
        name: its path in the network.
        kind: its class.
        channels: of its output.
        size: of its output for the plan's patch, in voxels.
    """

    name: str
    kind: str
    channels: int
    size: tuple[int, ...]

    @property
    def voxels(self) -> int:
        """Of its output."""
        return int(torch.Size(self.size).numel())


def layers_of(network: nn.Module, channels: int, patch: Sequence[int]) -> list[Layer]:
    """Run one empty patch and return the layers that give maps, in the order in which they finish.

    Args:
        network: in any mode; it is left as it was.
        channels: of the image.
        patch: voxels.
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
    """The bottleneck: what comes last of the encoder, before the decoder begins."""
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


def find_layer(layers: Sequence[Layer], wanted: str | None) -> Layer:
    """The layer of a name, or the bottleneck.

    Raises:
        UserError: no such layer, with the nearest ones.
    """
    known = {layer.name: layer for layer in layers}
    name = default_layer(layers) if wanted is None else wanted
    if name not in known:
        near = ", ".join(nearest_first(name, known)[:5])
        raise UserError(
            f"--layer {name}: no layer of that name gives a map; nearest: {near} (--list-layers shows all)"
        )
    return known[name]
