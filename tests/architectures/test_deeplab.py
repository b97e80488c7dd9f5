from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close
from torchvision.models import feature_extraction, resnet

from architectures.deeplab import DeepLabV3, DeepLabV3Plus

from .conftest import arguments

BOTH = [DeepLabV3, DeepLabV3Plus]


def small(cls: type[DeepLabV3], **changes: Any) -> DeepLabV3:
    return cls(**arguments(2, **({"backbone": "resnet18", "output_stride": 32} | changes)))


def normed(x: Tensor, weight: Tensor, norm: Any, **kwargs: Any) -> Tensor:
    y = F.conv2d(x, weight, **kwargs)
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    moved = (y - norm.running_mean[:, None, None]) * scale[:, None, None]
    return (moved + norm.bias[:, None, None]).relu()


@pytest.mark.parametrize(
    ("cls", "stride", "rates"), [(DeepLabV3, 8, (12, 24, 36)), (DeepLabV3Plus, 16, (6, 12, 18))]
)
def test_it_is_the_written_out_network(
    cls: type[DeepLabV3], stride: int, rates: tuple[int, ...]
) -> None:
    """torchvision's own dilated ResNet, then branches, merge and head written out."""
    network = small(
        cls,
        backbone="resnet50",
        output_stride=stride,
        input_channels=3,
        deep_supervision=False,
    )
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    network.double().eval()
    body = resnet.resnet50(
        weights=None, replace_stride_with_dilation=[False, stride == 8, True]
    ).double()
    missing = body.load_state_dict(network.backbone.state_dict(), strict=False)
    assert missing.missing_keys == ["fc.weight", "fc.bias"]
    assert not missing.unexpected_keys
    maps = feature_extraction.create_feature_extractor(body.eval(), ["layer1", "layer4"])
    x = torch.randn(1, 3, 32, 48, dtype=torch.float64)
    low, high = maps(x).values()
    assert high.shape[2:] == (32 // stride, 48 // stride)

    convs = network.pyramid.convs
    branches = [normed(high, convs[0][0].weight, convs[0][1])]
    for branch, rate in zip(convs[1:4], rates, strict=True):
        assert branch[0].dilation == (rate, rate)  # on this map only the middle tap sees voxels
        weight = branch[0].weight
        branches.append(normed(high, weight, branch[1], padding=rate, dilation=rate))
    mean = torch.einsum("bchw,oc->bo", high, convs[4][1].weight[..., 0, 0]) / high[0, 0].numel()
    mean = (mean + convs[4][1].bias).relu()[..., None, None]
    branches.append(mean.expand(-1, -1, *high.shape[2:]))
    y = normed(
        torch.cat(branches, 1), network.pyramid.project[0].weight, network.pyramid.project[1]
    )
    if cls is DeepLabV3Plus:
        assert network.low is not None
        y = F.interpolate(y, low.shape[2:], mode="bilinear")
        y = torch.cat([y, normed(low, network.low[0].weight, network.low[1])], 1)
        assert (y.shape[1], *y.shape[2:]) == (256 + 48, 8, 12)
        for conv, norm, _ in network.refine:
            y = normed(y, conv.weight, norm, padding=1)
    head = network.decoder.seg_layers[0]
    y = torch.einsum("bchw,oc->bohw", y, head.weight[..., 0, 0]) + head.bias[:, None, None]
    assert_close(network(x), F.interpolate(y, x.shape[2:], mode="bilinear"))


@pytest.mark.parametrize("cls", BOTH)
def test_one_sample_trains_and_every_weight_has_a_gradient(cls: type[DeepLabV3]) -> None:
    network = small(cls).train()
    (y,) = network(torch.randn(1, 2, 33, 20))
    assert y.shape == (1, 3, 33, 20)
    y.square().mean().backward()
    still = [k for k, p in network.named_parameters() if p.grad is None]
    assert still == []
    assert all(p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("cls", BOTH)
def test_training_is_deterministic(cls: type[DeepLabV3]) -> None:
    network = small(cls).train()
    x = torch.randn(1, 2, 40, 32)
    assert_close(network(x)[0], network(x)[0], rtol=0, atol=0)


def test_no_weights_are_downloaded_and_torchvisions_initialisation_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a download of weights was attempted")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    network = small(DeepLabV3, input_channels=3)
    # He's initialisation with fan-out, as in torchvision, also for another number of channels.
    for channels in (1, 3):
        network = small(DeepLabV3, input_channels=channels)
        network.apply(network.initialize)
        assert network.backbone.conv1.weight.shape == (64, channels, 7, 7)
        assert_close(
            network.backbone.conv1.weight.std().item(), (2 / (64 * 49)) ** 0.5, rtol=0.1, atol=0
        )


@pytest.mark.parametrize(
    ("cls", "parameters"), [(DeepLabV3, 58_031_049), (DeepLabV3Plus, 59_334_697)]
)
def test_parameters_with_resnet101(cls: type[DeepLabV3], parameters: int) -> None:
    """cai2023-aspp-unet prints 46.9 million for DeepLabV3, yan2025-mag-unet 52.85 for V3+, without the parts."""
    with torch.device("meta"):
        network = cls(**arguments(2, input_channels=1, num_classes=9))
        body = resnet.resnet101(weights=None)
    backbone = sum(p.numel() for p in body.parameters()) - 2049 * 1000 - 2 * 64 * 49
    pyramid = 256 * (2048 * (1 + 3 * 9 + 1) + 5 * 256) + 5 * 2 * 256 + 256
    refined = 48 * (256 + 2) + 256 * (9 * (304 + 256) + 2 * 2) if cls is DeepLabV3Plus else 0
    head = 257 * 9
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert parameters == backbone + pyramid + refined + head


@pytest.mark.parametrize("cls", BOTH)
def test_invalid_arguments_are_named_in_the_error(cls: type[DeepLabV3]) -> None:
    with pytest.raises(ValueError, match=f"{cls.__name__}: the plan is 3D.*use the 2d config"):
        cls(**arguments(3))
    with pytest.raises(ValueError, match="no backbone called 'vgg'; known: resnet18, "):
        small(cls, backbone="vgg")
    with pytest.raises(ValueError, match="output_stride is 16; resnet18 has 32: "):
        small(cls, output_stride=16)
    with pytest.raises(ValueError, match="output_stride is 4; resnet101 has 8, 16, 32: "):
        small(cls, backbone="resnet101", output_stride=4)
    with pytest.raises(ValueError, match=r"a patch of \(32, 32\) voxels leaves one voxel"):
        small(cls).check_input_size((32, 32))
