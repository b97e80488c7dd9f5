"""Dropout at the end of the convolution blocks of chosen stages, and the order within a block."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from architectures.inception_dual_unet import InceptionDualUNet
from architectures.modular_unet import ModularUNet
from architectures.unets import ResUNet
from nnunet_plugins.networks import build
from nnunet_plugins.papers.library import find_topology

from .conftest import arguments

KINDS = {
    nn.Conv2d: "conv",
    nn.ReLU: "relu",
    nn.BatchNorm2d: "norm",
    nn.Dropout: "drop",
    nn.ConvTranspose2d: "up",
}


def order_of_calls(network: Any, module: nn.Module, x: torch.Tensor) -> list[str]:
    """Kinds of the layers within ``module``, in the order in which they run."""
    calls: list[str] = []
    hooks = [
        layer.register_forward_hook(lambda m, _x, _y: calls.append(KINDS[type(m)]))
        for layer in module.modules()
        if type(layer) in KINDS
    ]
    network(x)
    for hook in hooks:
        hook.remove()
    return calls


def paper(name: str) -> Any:
    topology = find_topology("silveira2025-inception-dual", name)
    entry = topology.architecture()
    entry["arch_kwargs"]["features_per_stage"] = [4, 8, 8, 8, 8]
    return build(topology.network, entry, 1, 2, True, (32, 32))


def test_the_proposed_network_convolves_rectifies_normalises_and_drops() -> None:
    network, x = paper("Proposed Model"), torch.randn(2, 1, 32, 32)
    plain, dropped = ["conv", "relu", "norm"], ["conv", "relu", "norm", "drop"]
    inside = [order_of_calls(network, stage, x) for stage in network.encoder.stages]
    assert inside == [6 * plain, 2 * plain, 2 * dropped, 2 * dropped, 2 * dropped]
    assert order_of_calls(network, network.decoder.stages, x) == 8 * plain
    assert {m.p for m in network.modules() if isinstance(m, nn.Dropout)} == {0.5}


@pytest.mark.parametrize("name", ["U-Net", "ResUNet", "Attention U-Net", "TransUNet"])
def test_the_networks_it_is_compared_with_have_the_same_dropout(name: str) -> None:
    network = paper(name)
    dropouts = [
        sum(isinstance(m, nn.Dropout) for m in stage.modules()) for stage in network.encoder.stages
    ]
    bottleneck = 1 if name in ("U-Net", "TransUNet") else 2
    assert dropouts == [0, 0, 2, 2, bottleneck]
    if name == "U-Net":  # its second convolution has no normalisation
        calls = order_of_calls(network, network.bottleneck, torch.randn(2, 1, 32, 32))
        assert calls == ["conv", "relu", "drop"]


def test_only_training_drops_and_only_in_the_named_stage(rank: int) -> None:
    rates = [0.0, 0.5, 0.0]
    network = ModularUNet(**arguments(rank, dropout_per_stage=rates, nonlin=nn.ReLU))
    x = torch.randn(1, 2, *[16] * rank)
    first, second = network.train().encoder(x), network.encoder(x)
    assert torch.equal(first[0], second[0])
    dropped = (first[1] == 0) != (second[1] == 0)
    assert 0.1 < dropped.float().mean() < 0.9
    network.eval()
    assert all(torch.equal(a, b) for a, b in zip(network(x), network(x), strict=True))


def test_survivors_of_the_last_dropout_are_scaled_by_its_rate() -> None:
    network = ModularUNet(**arguments(2, dropout_per_stage=[0.75, 0, 0], n_conv_per_stage=1))
    x = torch.randn(1, 2, 16, 16)
    expected = network.eval().encoder(x)[0]
    y = network.train().encoder(x)[0]
    kept = y != 0
    assert kept.float().mean() == pytest.approx(0.25, abs=0.05)
    torch.testing.assert_close(y[kept], 4 * expected[kept])


@pytest.mark.parametrize("network", [ModularUNet, InceptionDualUNet, ResUNet])
def test_dropout_leaves_the_names_of_the_weights(network: Any) -> None:
    plain = network(**arguments(2))
    dropping = network(**arguments(2, dropout_per_stage=[0, 0.5, 0.5]))
    assert list(dropping.state_dict()) == list(plain.state_dict())
    dropping.load_state_dict(plain.state_dict())
    x = torch.randn(1, 2, 16, 16)
    for a, b in zip(plain.eval()(x), dropping.eval()(x), strict=True):
        assert torch.equal(a, b)


def test_the_shortcut_goes_around_the_dropout() -> None:
    network = ResUNet(**arguments(2, dropout_per_stage=[0.5, 0, 0]))
    wrapped = network.encoder.stages[0][-1]
    assert any(isinstance(m, nn.Dropout) for m in wrapped.body.modules())
    assert not any(isinstance(m, nn.Dropout) for m in wrapped.shortcut.modules())
