"""Heads have nnU-Net's name in every network, so that weights can be loaded for another number of labels."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from architectures.deeplab import DeepLabV3, DeepLabV3Plus
from architectures.segnet import SegNet
from architectures.unetr import UNETR
from architectures.vnet import VNet
from nnunet_plugins.networks import NETWORKS

from . import test_networks  # noqa: F401 - its testers have the options that make networks small
from .conftest import arguments
from .network_tester import NetworkTester

TESTERS = {tester.network: tester for tester in NetworkTester.__subclasses__()}
#: Network -> names of its heads in checkpoints of version 0.2, and since.
FORMER = {
    SegNet: {"decoder.head.": "decoder.seg_layers.0."},
    VNet: {"decoder.head.": "decoder.seg_layers.0."},
    UNETR: {"network.out.": "decoder.seg_layers.0."},
    DeepLabV3: {"head.0.": "decoder.seg_layers.0."},
    DeepLabV3Plus: {"head.0.": "refine.0.", "head.1.": "refine.1.", "head.2.": "decoder.seg_layers.0."},
}  # fmt: skip


def made(network: type[nn.Module], classes: int) -> nn.Module:
    tester = TESTERS.get(network)
    options = dict(tester.options) if tester else {}
    if network.takes_input_size:
        options["input_size"] = [32, 32]
    return network(**arguments(2) | {"num_classes": classes} | options)


@pytest.mark.parametrize("name", NETWORKS)
def test_only_heads_depend_on_the_number_of_classes(name: str) -> None:
    with torch.device("meta"):
        three, four = (made(NETWORKS[name], n).state_dict() for n in (3, 4))
    assert list(three) == list(four)
    differ = [key for key in four if three[key].shape != four[key].shape]
    assert differ
    assert all(".seg_layers." in key for key in differ)
    heads = [key for key in four if ".seg_layers." in key]
    assert set(differ) <= set(heads)


@pytest.mark.parametrize("network", FORMER)
def test_weights_of_earlier_checkpoints_are_found(network: type[nn.Module]) -> None:
    first, second = made(network, 3), made(network, 3)
    old = dict(first.state_dict())
    for former, present in FORMER[network].items():
        renamed = [key for key in old if key.startswith(present)]
        assert renamed
        for key in renamed:
            old[former + key.removeprefix(present)] = old.pop(key)
    second.load_state_dict(old)
    for key, value in first.state_dict().items():
        assert torch.equal(second.state_dict()[key], value)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_encoder_is_named(name: str) -> None:
    """It exists, holds most of what a deep network learns, and no head."""
    with torch.device("meta"):
        network = made(NETWORKS[name], 3)
    assert list(network.get_submodule(network.encoder_names[0]).parameters())
    beginnings = tuple(f"{module}." for module in network.encoder_names)
    keys = [key for key in network.state_dict() if key.startswith(beginnings)]
    assert not any(".seg_layers." in key for key in keys)
