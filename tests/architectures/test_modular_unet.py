from __future__ import annotations

import io
import itertools

import pytest
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from torch import nn
from torch.testing import assert_close

from architectures.mag_unet import MAGUNet
from architectures.modular_unet import ModularUNet
from architectures.se_unet import SEUNet
from architectures.slots import BOTTLENECKS, SKIPS, STEMS

from .conftest import arguments

NETWORKS = [SEUNet, MAGUNet]
ENCODERS = [pytest.param(False, id="plain"), pytest.param(True, id="residual")]


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("residual", ENCODERS)
def test_with_plain_slots_it_is_nnunets_own(rank: int, residual: bool) -> None:
    kwargs = arguments(rank, residual=residual)
    own = (ResidualEncoderUNet if residual else PlainConvUNet)(**kwargs)
    ours = ModularUNet(**kwargs)
    ours.load_state_dict(own.state_dict())
    x = torch.randn(2, 2, *[16] * rank)
    for a, b in zip(ours(x), own(x), strict=True):
        assert_close(a, b)
    assert ours.compute_conv_feature_map_size([16] * rank) == own.compute_conv_feature_map_size(
        [16] * rank
    )


@pytest.mark.parametrize("residual", ENCODERS)
@pytest.mark.parametrize("cls", NETWORKS)
def test_sizes_that_do_not_divide(cls: type[nn.Module], residual: bool, rank: int) -> None:
    network = cls(**arguments(rank, residual=residual))
    y = network(torch.randn(1, 2, *[13, 11, 9][:rank]))
    assert [tuple(level.shape[2:]) for level in y] == {
        2: [(13, 11), (7, 6)],
        3: [(13, 11, 9), (13, 6, 5)],
    }[rank]


@pytest.mark.parametrize("residual", ENCODERS)
@pytest.mark.parametrize("cls", NETWORKS)
def test_every_parameter_learns(cls: type[nn.Module], residual: bool, rank: int) -> None:
    network = cls(**arguments(rank, residual=residual))
    network.apply(network.initialize)
    before = {k: v.clone() for k, v in network.named_parameters()}
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    x = torch.randn(2, 2, *[16] * rank)
    target = [torch.randn_like(level) for level in network(x)]
    for _ in range(3):
        optimizer.zero_grad()
        sum((a - b).square().mean() for a, b in zip(network(x), target, strict=True)).backward()
        optimizer.step()
    still = [k for k, v in network.named_parameters() if torch.equal(v, before[k])]
    # A bias under a normalisation, and the key's bias under a softmax, have no effect: only those may rest.
    assert not [k for k in still if not k.endswith(".bias")]


@pytest.mark.parametrize("cls", NETWORKS)
def test_save_and_load_give_the_same(cls: type[nn.Module], rank: int) -> None:
    network, other = (cls(**arguments(rank)) for _ in range(2))
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    x = torch.randn(1, 2, *[16] * rank)
    assert_close(network(x), other(x))


def test_deep_supervision_is_switched_from_outside(rank: int) -> None:
    network = MAGUNet(**arguments(rank)).eval()
    x = torch.randn(1, 2, *[16] * rank)
    first = network(x)[0]
    network.decoder.deep_supervision = False
    assert_close(network(x), first)


@pytest.mark.parametrize("slots", itertools.product(STEMS, BOTTLENECKS, SKIPS), ids="-".join)
def test_each_slot_switches_by_itself(slots: tuple[str, str, str]) -> None:
    stem, bottleneck, skip = slots
    network = MAGUNet(**arguments(2, stem=stem, bottleneck=bottleneck, skip=skip))
    names = {type(m).__name__ for m in network.modules()}
    assert ("MultiScaleFusion" in names) == (stem == "mff")
    assert ("DualAttention" in names, "SqueezeExcite" in names) == (
        bottleneck == "da",
        bottleneck == "se",
    )
    assert ("LargeKernelGate" in names) == (skip == "lgag")
    network(torch.randn(1, 2, 16, 16))[0].mean().backward()


def test_gates_take_the_plans_kernels_and_arguments_reach_the_blocks() -> None:
    network = MAGUNet(**arguments(3, skip_kwargs={"groups": 1}, stem_kwargs={"scales": [3, 5, 7]}))
    assert [gate.skip.kernel_size for gate in network.decoder.gates] == [(3, 3, 3), (1, 3, 3)]
    assert {gate.skip.groups for gate in network.decoder.gates} == {1}
    assert [b.kernel_size for b in network.encoder.stages[0][0].branches] == [
        (1, 3, 3),
        (1, 5, 5),
        (1, 7, 7),
    ]


def test_se_adds_under_one_percent_of_parameters() -> None:
    stages = 6
    stock = arguments(
        3,
        n_stages=stages,
        features_per_stage=[32, 64, 128, 256, 320, 320],
        kernel_sizes=[[3] * 3] * stages,
        strides=[[1] * 3] + [[2] * 3] * (stages - 1),
        n_conv_per_stage=[2] * stages,
        n_conv_per_stage_decoder=[2] * (stages - 1),
    )
    with torch.device("meta"):
        plain, se = ModularUNet(**stock), SEUNet(**stock)
    assert 0 < count(se) - count(plain) == 2 * 320 * 20 < 0.01 * count(plain)


@pytest.mark.parametrize("cls", [ModularUNet, *NETWORKS])
@pytest.mark.parametrize("residual", ENCODERS)
def test_pretraining_keys_name_real_modules(cls: type[nn.Module], residual: bool) -> None:
    network = cls(**arguments(3, residual=residual))
    first, again = (network.get_submodule(key) for key in network.keys_to_in_proj)
    assert first is again
    assert first.in_channels == 2
    network.get_submodule(network.key_to_stem)
    network.get_submodule(network.key_to_encoder)


def test_one_graph_for_the_compiler() -> None:
    network = MAGUNet(**arguments(2))
    x = torch.randn(1, 2, 16, 16)
    expected = network(x)
    compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
    y = compiled(x)
    for a, b in zip(y, expected, strict=True):
        assert_close(a, b, rtol=1e-4, atol=1e-4)
    y[0].mean().backward()
    network.decoder.deep_supervision = False
    assert_close(compiled(x), expected[0], rtol=1e-4, atol=1e-4)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="no block called 'cbam'; known: da, plain, se"):
        MAGUNet(**arguments(2, bottleneck="cbam"))
    with pytest.raises(ValueError, match="kernel_sizes has 2 entries; 3 are wanted"):
        MAGUNet(**arguments(2, kernel_sizes=[[3, 3]] * 2))
    with pytest.raises(ValueError, match="one of them"):
        MAGUNet(**arguments(2, n_blocks_per_stage=[1, 1, 1]))
    with pytest.raises(ValueError, match="2 spatial sizes are wanted"):
        MAGUNet(**arguments(2)).compute_conv_feature_map_size((1, 2, 16, 16))
