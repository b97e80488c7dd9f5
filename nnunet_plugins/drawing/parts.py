"""Parts of a network with the sizes of their feature maps, found by running it on fake tensors."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from nnunet_plugins.costs.fake_tensors import fake_tensors
from nnunet_plugins.costs.training_step import Setup

Side = Literal["down", "up"]
_BLOCKS = "architectures.blocks"
#: Blocks from other libraries.
_OUTSIDE = {
    "TransformerBlock": "monai.networks.blocks",
    "ASPP": "torchvision.models",
    "BasicBlock": "torchvision.models",
    "Bottleneck": "torchvision.models",
}
#: Blocks that only arrange convolutions; not named in drawings.
_PLAIN = ("BareConvolution", "Convolution", "ResidualUnit", "AuxiliaryHead", "Shortcut")


@dataclass
class Part:
    """Layers at one feature map size, in the encoder or decoder.

    Attributes:
        size: feature map size in voxels.
        channels: channels of the last feature map.
        convolutions: kernel, as '3x3x3', -> count, without those inside named blocks.
        blocks: names of the blocks, in order.
        heads: outputs: 'logits' or 'auxiliary'.
    """

    size: tuple[int, ...]
    channels: int = 0
    convolutions: dict[str, int] = field(default_factory=dict)
    blocks: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Drawing:
    """Parts of a network.

    Attributes:
        down: encoder from fine to coarse, the bottleneck last.
        up: size -> part of the decoder.
        gates: size -> block on the skip connection.
        skips: sizes with parts in encoder and decoder.
    """

    down: list[Part]
    up: dict[tuple[int, ...], Part]
    gates: dict[tuple[int, ...], str]

    @property
    def skips(self) -> list[tuple[int, ...]]:
        """Sizes with parts in encoder and decoder, from fine to coarse."""
        return [part.size for part in self.down if part.size in self.up]


@dataclass(frozen=True)
class _Call:
    name: str
    module: nn.Module
    size: tuple[int, ...]
    channels: int
    head: str = ""

    @property
    def encodes(self) -> bool:
        """Whether the layer is in the encoder; UNETR's runs after the deepest stage, on its tokens."""
        return any(part.startswith("encoder") for part in self.name.split("."))


def decompose(setup: Setup) -> Drawing:
    """Run a setup's network on fake tensors and group its layers by feature map size.

    Raises:
        UserError: the network does not support the plan.
    """
    with fake_tensors():
        network = setup.build().eval()
        calls = _calls(network, torch.empty(1, setup.channels, *setup.patch))
    if not any(call.head for call in calls):  # another library's network
        calls[-1] = replace(calls[-1], head="logits")
    inside = tuple(f"{call.name}." for call in calls if _is_named(call.module))
    # A feature map of one voxel is a mean within a block, not a stage.
    calls = [
        call
        for call in calls
        if len(call.size) == len(setup.patch)
        and max(call.size) > 1
        and not call.name.startswith(inside)
    ]
    smallest = min(_voxels(call.size) for call in calls)
    deepest = max(i for i, c in enumerate(calls) if _voxels(c.size) == smallest and not c.head)
    down: dict[tuple[int, ...], Part] = {}
    up: dict[tuple[int, ...], Part] = {}
    gates: dict[tuple[int, ...], str] = {}
    for index, call in enumerate(calls):
        if ".gates." in f".{call.name}.":
            if _is_named(call.module):
                gates[call.size] = type(call.module).__name__
            continue
        early = index <= deepest or call.encodes or (call.size not in up and call.head)
        side = down if early else up
        _note(side.setdefault(call.size, Part(call.size)), call)
    ways = sorted(down.values(), key=lambda part: -_voxels(part.size))
    return Drawing(ways, up, gates)


def _calls(network: nn.Module, data: Tensor) -> list[_Call]:
    """Return every convolution, linear layer and named block in order of completion."""
    found: list[_Call] = []
    hooks = []
    for name, module in network.named_modules(remove_duplicate=True):
        if not (isinstance(module, _ConvNd | nn.Linear) or _is_named(module)):
            continue

        def note(module: nn.Module, inputs: Any, output: Any, name: str = name) -> None:
            tensor = output[0] if isinstance(output, tuple | list) else output
            if not isinstance(tensor, Tensor) or tensor.ndim < 3:
                return
            if tensor.ndim == data.ndim:
                size = tuple(tensor.shape[2:])
                found.append(_Call(name, module, size, int(tensor.shape[1]), _head(name)))
            elif _is_named(module) and found:  # tokens of the previous feature map
                found.append(_Call(name, module, found[-1].size, int(tensor.shape[-1])))

        hooks.append(module.register_forward_hook(note))
    with torch.no_grad():
        network(data)
    for hook in hooks:
        hook.remove()
    return found


def _is_named(module: nn.Module) -> bool:
    kind = type(module)
    if kind.__name__ in _OUTSIDE:
        return kind.__module__.startswith((_BLOCKS, _OUTSIDE[kind.__name__]))
    return kind.__module__.startswith(_BLOCKS) and kind.__name__ not in _PLAIN


def _head(name: str) -> str:
    """Return the kind of output that a layer makes, or ''."""
    if name.startswith("auxiliary"):
        return "auxiliary"
    return "logits" if ".seg_layers." in f".{name}." else ""


def _note(part: Part, call: _Call) -> None:
    if call.head:
        part.heads.append(call.head)
        return
    part.channels = call.channels
    if _is_named(call.module):
        part.blocks.append(type(call.module).__name__)
    elif isinstance(call.module, _ConvNd):
        kernel = "x".join(map(str, call.module.kernel_size))
        if isinstance(call.module, _ConvTransposeNd):
            kernel = f"up {kernel}"
        part.convolutions[kernel] = part.convolutions.get(kernel, 0) + 1


def _voxels(size: tuple[int, ...]) -> int:
    return math.prod(size)
