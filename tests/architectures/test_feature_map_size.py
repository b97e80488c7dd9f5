from __future__ import annotations

import numpy as np
import pytest
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from torch import Tensor, nn

from architectures.feature_map_size import count_feature_maps
from architectures.full_resolution import FullResolutionNetwork
from architectures.plan import Plan

from .conftest import arguments


@pytest.mark.parametrize("deep_supervision", [True, False])
@pytest.mark.parametrize("residual", [False, True], ids=["plain", "residual"])
def test_counts_what_nnunets_own_networks_count(
    rank: int, residual: bool, deep_supervision: bool
) -> None:
    kwargs = arguments(rank, residual=residual, deep_supervision=deep_supervision)
    network = (ResidualEncoderUNet if residual else PlainConvUNet)(**kwargs)
    size = [16] * rank
    theirs = network.compute_conv_feature_map_size(size)
    count = count_feature_maps(network, 2, size)
    assert count == theirs
    assert isinstance(count, np.int64)


class Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(1, 4, 3, stride=2, padding=1)
        self.same = nn.Conv2d(4, 4, 1)
        self.norm = nn.BatchNorm2d(4)
        self.up = nn.ConvTranspose2d(4, 2, 2, stride=2)
        self.last = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.up(self.norm(self.same(self.same(self.down(x))))))


def test_each_call_counts_at_its_own_size() -> None:
    # 5 rounds up to 3 under stride 2; the layer called twice counts twice; 6 = 3 * 2 along the last axis.
    assert count_feature_maps(Mixed(), 1, (5, 5)) == 3 * (4 * 3 * 3) + 2 * 6 * 6 + 2 * 6 * 5


def test_an_unpooling_counts_as_a_transposed_convolution() -> None:
    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool = nn.MaxPool2d(2, return_indices=True)
            self.unpool = nn.MaxUnpool2d(2)

        def forward(self, x: Tensor) -> Tensor:
            return self.unpool(*self.pool(x))

    assert count_feature_maps(Pooled(), 3, (4, 6)) == 3 * 4 * 6


def test_the_network_is_not_modified() -> None:
    network = Mixed().train()
    before = {k: (v.data_ptr(), v.clone()) for k, v in network.state_dict().items()}
    count_feature_maps(network, 1, (5, 5))
    assert network.training
    assert not any(m._forward_hooks for m in network.modules())
    for key, value in network.state_dict().items():
        pointer, content = before[key]
        assert (value.data_ptr(), value.device.type) == (pointer, "cpu")
        assert torch.equal(value, content)


def test_neither_maps_nor_weights_take_memory() -> None:
    assert count_feature_maps(nn.Conv3d(1, 8, 3, padding=1), 1, [4096] * 3) == 8 * 4096**3
    wide = nn.Linear(1, 1, bias=False)
    wide.weight = nn.Parameter(torch.zeros(1).expand(10**6, 10**6))
    assert count_feature_maps(wide, 2, (3, 10**6)) == 2 * 3 * 10**6


def test_a_single_voxel_of_a_single_sample_can_be_counted() -> None:
    block = nn.Sequential(nn.Conv2d(1, 4, 1), nn.BatchNorm2d(4)).train()
    assert count_feature_maps(block, 1, (1, 1)) == 4


class Pointwise(FullResolutionNetwork):
    def __init__(self, rank: int, stride: int) -> None:
        plan = Plan.read(type(self), arguments(rank))
        super().__init__(plan, [stride] * rank)
        self.conv = plan.conv_op(2, 3, 1)

    def logits(self, x: Tensor) -> Tensor:
        assert all(n % s == 0 for n, s in zip(x.shape[2:], self.stride, strict=True))
        return self.conv(x)


def test_the_base_pads_crops_counts_and_switches(rank: int) -> None:
    network = Pointwise(rank, 4)
    size = [5, 4, 7][:rank]
    x = torch.randn(1, 2, *size)
    (y,) = network(x)
    torch.testing.assert_close(y, network.conv(x))
    network.decoder.deep_supervision = False
    torch.testing.assert_close(network(x), y)
    assert [(o.kind, o.stride) for o in network.outputs] == [("logits", (1,) * rank)]
    assert network.compute_conv_feature_map_size(size) == 3 * np.prod([8, 4, 8][:rank])
    before = network.conv.weight.clone()
    network.apply(network.initialize)
    assert torch.equal(network.conv.weight, before)


def test_the_base_rejects_invalid_sizes(rank: int) -> None:
    network = Pointwise(rank, 4)
    network.check_input_size([5] + [1] * (rank - 1))
    with pytest.raises(ValueError, match=r"Pointwise: a patch of .* leaves one voxel"):
        network.check_input_size([4] * rank)
    for check in (network.check_input_size, network.compute_conv_feature_map_size):
        with pytest.raises(ValueError, match=f"expected {rank} spatial sizes"):
            check([1, 2, *[16] * rank])
