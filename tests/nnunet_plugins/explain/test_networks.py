"""Grad-CAM and attention maps of every network, and of one with a known result."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from torch import nn

from nnunet_plugins.errors import UserError
from nnunet_plugins.explain.layers import default_layer, find_layer, layers_of
from nnunet_plugins.explain.maps import attention, attention_names, grad_cam, slide
from nnunet_plugins.networks import NETWORKS
from tests.architectures.conftest import arguments

OPTIONS = {
    "UNETR": {"hidden_size": 48, "mlp_dim": 96, "num_heads": 4},
    "DeepLabV3": {"backbone": "resnet18", "output_stride": 32},
    "DeepLabV3Plus": {"backbone": "resnet18", "output_stride": 32},
    "TransUNet": {"bottleneck_kwargs": {"depth": 2}},
}
DEFAULTS = {
    "AttentionUNet25D": "squeeze",
    "SegNet": "encoder.2",
    "UNETR": "network.decoder5.transp_conv",
    "DeepLabV3": "backbone.layer4",
    "DeepLabV3Plus": "backbone.layer4",
    "ModularUNet": "encoder.stages.2",
} | dict.fromkeys(("SEUNet", "MAGUNet", "TransUNet"), "bottleneck")
GATED = {"MAGUNet": 2, "AttentionUNet": 2, "AttentionUNet25D": 1}


def made(name: str, rank: int) -> tuple[nn.Module, tuple[int, ...]]:
    torch.manual_seed(0)
    size = ((64, 128) if name.startswith("DeepLab") else (16, 32)) if rank == 2 else (8, 16, 32)
    kwargs = arguments(rank, deep_supervision=False) | OPTIONS.get(name, {})
    if NETWORKS[name].takes_input_size:
        kwargs["input_size"] = list(size)
    return NETWORKS[name](**kwargs).eval(), size


CASES = [(name, rank) for name, network in NETWORKS.items() for rank in network.ranks]


@pytest.mark.parametrize(("name", "rank"), CASES)
def test_a_map_of_every_network(name, rank):
    network, size = made(name, rank)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    layers = layers_of(network, 2, size)
    layer = default_layer(layers)
    if name in DEFAULTS:
        assert layer == DEFAULTS[name]
    chosen = find_layer(layers, None)
    assert chosen.name == layer
    assert 1 < chosen.voxels <= np.prod(size) / 4
    x = torch.randn(1, 2, *size)
    with torch.no_grad():
        logits = network(x)
    maps = grad_cam(network, layer, [1, 2], regions=False, everywhere=True)(x)
    assert [tuple(m.shape) for m in maps] == [(1, 1, *size)] * 2
    assert all(torch.isfinite(m).all() and (m >= 0).all() for m in maps)
    assert any(m.max() > 0 for m in maps)
    # The network is unchanged.
    with torch.no_grad():
        torch.testing.assert_close(network(x), logits)
    for key, value in network.state_dict().items():
        torch.testing.assert_close(value, before[key])
    gates = attention_names(network)
    assert len(gates) == GATED.get(name, 0)
    if gates:
        for one in attention(network, gates)(x):
            assert one.shape == (1, 1, *size)
            assert 0 <= one.min() < one.max() <= 1


class Two(nn.Module):
    """Class 1 responds to positive values, class 2 to negative ones; the bottleneck has half the size."""

    def __init__(self, conv):
        super().__init__()
        rank = 2 if conv is nn.Conv2d else 3
        self.decoder = SimpleNamespace(deep_supervision=False)
        self.features = conv(1, 2, 1, bias=False)
        self.pool = (nn.AvgPool2d if rank == 2 else nn.AvgPool3d)(2)
        self.up = nn.Upsample(scale_factor=2)
        self.head = conv(2, 3, 1)
        with torch.no_grad():
            self.features.weight[:] = torch.tensor([1.0, -1.0]).view(2, 1, *[1] * rank)
            self.head.weight[:] = torch.tensor([[0.0, 0], [2, 0], [0, 2]]).view(3, 2, *[1] * rank)
            self.head.bias[:] = torch.tensor([0.0, -1, -1])

    def forward(self, x):
        return self.head(self.up(self.pool(torch.relu(self.features(x)))))


def scene(size):
    """Positive in one corner, negative in another."""
    x = torch.zeros(1, 1, *size)
    x[(..., *[slice(0, 4)] * len(size))] = 1
    x[(..., *[slice(-2, None)] * len(size))] = -3
    return x


@pytest.mark.parametrize("conv", [nn.Conv2d, nn.Conv3d])
def test_the_map_has_the_known_value_where_the_class_is(conv):
    size = (8, 12) if conv is nn.Conv2d else (8, 12, 10)
    rank, x = len(size), scene(size)
    network = Two(conv).eval()
    one, two, none = grad_cam(network, "pool", [1, 2, 0], regions=False)(x)
    corner = (0, 0, *[slice(0, 4)] * rank)
    # By hand: d(sum of 2 f - 1 over n voxels of the class) / d pool is 2 * 2^rank, at n / 2^rank of its N voxels: the
    # weight is their mean, 2 n / N; times the feature, 1.
    voxels = np.prod(size) // 2**rank
    inside = one[(0, 0, *[slice(1, 2)] * rank)]
    assert inside.item() == pytest.approx(2 * 4**rank / voxels, rel=1e-5)
    assert one[corner].sum() > 0.8 * one.sum()
    other = (0, 0, *[slice(-2, None)] * rank)
    assert two[other].max() == two.max() > 0
    assert two[corner].abs().max() == 0
    assert one[other].abs().max() == 0
    assert none.abs().max() == 0  # the background's logit depends on nothing


def test_regions_use_positive_logits_and_everywhere_uses_all():
    x = scene((8, 12))
    (inside,) = grad_cam(Two(nn.Conv2d), "pool", [1], regions=True)(x)
    (whole,) = grad_cam(Two(nn.Conv2d), "pool", [1], regions=True, everywhere=True)(x)
    # Weights 2 * 16 / 24 and 2 * 96 / 24.
    assert inside.max().item() == pytest.approx(4 / 3)
    assert whole.max().item() == pytest.approx(8)


def predictor(network, patch):
    found = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    found.network, found.configuration_manager = network, SimpleNamespace(patch_size=patch)
    return found


@pytest.mark.parametrize("patch", [[4, 6, 8], [6, 8], [30, 30, 30]])
def test_windows_reproduce_a_voxelwise_function(patch):
    """Overlap, weights, step and padding cancel for a function of single voxels."""
    data = torch.randn(1, 9, 13, 17)
    (found,) = slide(predictor(None, patch), data, lambda x: [x * 2])
    torch.testing.assert_close(found, data[0] * 2)


def test_a_case_larger_than_the_patch():
    data = torch.zeros(1, 20, 20, 20)
    data[0, 3:7, 12:17, 8:12] = 1
    network = Two(nn.Conv3d).eval()
    cam = grad_cam(network, "pool", [1], regions=False)
    (found,) = slide(predictor(network, [8, 8, 8]), data, cam)
    assert found.shape == (20, 20, 20)
    near = torch.zeros(20, 20, 20, dtype=bool)
    near[1:9, 10:19, 6:14] = True
    assert found[~near].abs().max() == 0
    assert found[data[0] > 0].mean() > 2 * found[near].mean() > 0


def test_an_unknown_layer_is_named_with_the_nearest():
    network, size = made("SEUNet", 2)
    layers = layers_of(network, 2, size)
    with pytest.raises(
        UserError, match=r"--layer encoder\.stages\.9: no layer .* nearest: encoder\.stages\.\d"
    ):
        find_layer(layers, "encoder.stages.9")
    assert find_layer(layers, "encoder.stages.0").size == (16, 32)
