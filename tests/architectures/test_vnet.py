from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.networks import nets
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from architectures.vnet import VNet
from nnunet_plugins.papers.library import find_topology
from nnunet_plugins.papers.topologies import count

from .conftest import CONV, arguments

#: The sizes that MONAI's class has.
MONAIS: dict[str, Any] = {
    "n_stages": 5,
    "features_per_stage": [16, 32, 64, 128, 256],
    "kernel_sizes": 3,
    "strides": [1, 2, 2, 2, 2],
    "n_conv_per_stage": [1, 1, 2, 3, 2],
    "n_conv_per_stage_decoder": [2, 2, 1, 1],
}


def at_monais_sizes(rank: int) -> VNet:
    return VNet(input_channels=2, num_classes=3, conv_op=CONV[rank], **MONAIS)


def state(*modules: nn.Module) -> list[Tensor]:
    """Parameters and buffers in the order in which MONAI registers them."""
    return [value for module in modules for value in module.state_dict().values()]


def test_at_monais_sizes_it_is_monais(rank: int) -> None:
    theirs = nets.VNet(spatial_dims=rank, in_channels=2, out_channels=3).eval()
    ours = at_monais_sizes(rank).eval()
    mine = state(ours.encoder, ours.decoder.stages, ours.decoder.seg_layers[0])
    assert len(mine) == len(theirs.state_dict())
    with torch.no_grad():
        for value in theirs.state_dict().values():
            if value.ndim:  # all but the number of batches; small, so that the outputs stay small
                value.copy_(torch.rand_like(value) / value[0].numel() ** 0.5)
        for own, value in zip(mine, theirs.state_dict().values(), strict=True):
            own.copy_(value)
        x = torch.randn(1, 2, *[32] * rank)
        assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-4)


def test_the_papers_v_net_has_monais_parameters() -> None:
    with torch.device("meta"):
        theirs = nets.VNet(in_channels=1, out_channels=2)
    expected = sum(p.numel() for p in theirs.parameters())
    for paper in ("jing2025-se-unet", "yan2025-mag-unet"):
        assert count(find_topology(paper, "3D V-Net")).trainable == expected == 45_597_898


def test_kernels_and_strides_follow_the_plan() -> None:
    network = VNet(**arguments(3))
    sizes = [stage.body[0].kernel_size for stage in network.encoder]
    assert sizes == [(1, 5, 5), (5, 5, 5), (5, 5, 5)]
    assert [stage.enter[0].stride for stage in network.encoder[1:]] == [(1, 2, 2), (2, 2, 2)]
    assert [stage.enter[-3].stride for stage in network.decoder.stages] == [(2, 2, 2), (1, 2, 2)]


def test_a_stage_adds_what_it_gets_to_what_its_convolutions_give(rank: int) -> None:
    network = VNet(**arguments(rank)).eval()
    x = torch.randn(2, 2, *[8] * rank)
    with torch.no_grad():
        for module in network.modules():  # the convolutions give 0
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                module.weight.zero_()
        assert_close(network.encoder[0](x), F.elu(x.repeat(1, 4, *[1] * rank)))


def test_image_channels_need_not_divide_the_width() -> None:
    network = VNet(**arguments(2, input_channels=3)).eval()
    x = torch.randn(1, 3, 8, 8)
    with torch.no_grad():
        network.encoder[0].body[-1].weight.zero_()
        expected = F.elu(x[:, [0, 1, 2, 0, 1, 2, 0, 1]])
        assert_close(network.encoder[0](x), expected)


def test_whole_channels_are_dropped_in_training(rank: int) -> None:
    network = VNet(**arguments(rank)).train()
    seen: list[Tensor] = []
    network.decoder.stages[0].drop.register_forward_hook(lambda _m, _x, y: seen.append(y))
    network(torch.randn(1, 2, *[16] * rank))
    zero = [y.flatten(2) == 0 for y in seen]
    assert all(((z.all(2)) | ~z.any(2)).all() for z in zero)
    assert any(z.any() for z in zero)
    assert not network.eval().decoder.stages[0].drop.training


def test_the_first_stride_is_1() -> None:
    with pytest.raises(
        ValueError, match=r"VNet: the first stage has stride \[2, 2\]; it must be 1"
    ):
        VNet(**arguments(2, strides=[2, 2, 2]))
