from __future__ import annotations

import pytest
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from torch import nn
from torch.testing import assert_close

from architectures.aspp_unet import ASPPUNet
from architectures.mag_unet import MAGUNet
from architectures.modular_unet import ModularUNet
from architectures.se_unet import SEUNet
from architectures.slots import SLOTS

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


BLOCKS = {
    ("stem", "mff"): "MultiScaleFusion",
    ("stem", "inception"): "Inception",
    ("stage", "aspp"): "ASPP",
    ("wrap", "shortcut"): "Shortcut",
    ("bottleneck", "se"): "SqueezeExcite",
    ("bottleneck", "eca"): "EfficientChannelAttention",
    ("bottleneck", "cbam"): "CBAM",
    ("bottleneck", "nonlocal"): "NonLocal",
    ("bottleneck", "da"): "DualAttention",
    ("bottleneck", "transformer"): "TransformerLayer",
    ("bottleneck", "conv"): "BareConvolution",
    ("skip", "lgag"): "LargeKernelGate",
    ("skip", "attention"): "AdditiveGate",
    ("skip", "se"): "SqueezeExcite",
    ("skip", "cbam"): "CBAM",
    ("skip", "sam"): "SpatialGate",
}


def test_every_block_of_every_slot_is_tested_below() -> None:
    every = {(slot, name) for slot, blocks in SLOTS.items() for name in blocks if name != "plain"}
    assert every == set(BLOCKS)


@pytest.mark.parametrize(
    "stem", ["plain", "inception"]
)  # a stem wider than its stage changes the skips
@pytest.mark.parametrize(("slot", "name"), list(BLOCKS))
def test_slots_are_independent(slot: str, name: str, stem: str, rank: int) -> None:
    network = ModularUNet(**arguments(rank, **{"stem": stem, slot: name}))
    names = [type(m).__name__ for m in network.modules()]
    assert BLOCKS[slot, name] in names
    others = {block for key, block in BLOCKS.items() if key[0] not in (slot, "stem")}
    inside = {"CBAM": {"SpatialGate"}}.get(BLOCKS[slot, name], set())
    assert not others & (set(names) - {BLOCKS[slot, name]} - inside)
    network(torch.randn(1, 2, *[16] * rank))[0].mean().backward()


def test_stages_and_auxiliary_head_are_chosen() -> None:
    network = ModularUNet(**arguments(2, stage="aspp", stage_at=[2], auxiliary=True, deep_levels=1))
    assert list(network.stage_blocks) == ["2"]
    assert [(o.kind, o.stride) for o in network.outputs] == [
        ("logits", (1, 1)),
        ("auxiliary", (4, 4)),
    ]
    assert len(network.decoder.seg_layers) == 1


def test_a_pooling_alone_can_be_the_last_stage() -> None:
    pooled = {"pool": "max", "features_per_stage": [8, 16, 16], "n_conv_per_stage": [2, 2, 0]}
    network = ModularUNet(**arguments(2, **pooled))
    assert [type(m) for m in network.encoder.stages[2]] == [nn.MaxPool2d]
    x = torch.randn(1, 2, 16, 16)
    skips = network.encoder(x)
    assert_close(skips[2], nn.functional.max_pool2d(skips[1], 2))
    network(x)
    with pytest.raises(ValueError, match="only the last can be 0"):
        ModularUNet(**arguments(2, **pooled | {"pool": "conv"}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bottleneck": "cbm"}, "bottleneck: no block called 'cbm'; known: cbam, "),
        ({"kernel_sizes": [[3, 3]] * 2}, "kernel_sizes has 2 entries, expected 3"),
        ({"kernel_sizes": [[3, 3], [3, 4], [3, 3]]}, r"kernel_sizes of stage 1 is \[3, 4\]; .*odd"),
        ({"strides": [[1, 1, 1]] * 3}, r"strides of stage 0 is \[1, 1, 1\]; expected 2 axes"),
        ({"n_blocks_per_stage": [1, 1, 1]}, "expected either n_conv_per_stage"),
        ({"pool": "min"}, "pool is 'min'; allowed: conv, max, avg"),
        ({"stage": "aspp", "stage_at": [1, 3]}, r"stage_at is \[1, 3\]; .* 0 to 2"),
        ({"deep_levels": 3}, "levels is 3; 1 to 2 levels can have a head"),
        ({"dropout_per_stage": [0, 0.5]}, "dropout_per_stage has 2 entries, expected 3"),
        ({"dropout_per_stage": [0, 0, 1.0]}, r"dropout_per_stage is \[0, 0, 1.0\]; expected rates"),
        ({"dropout_per_stage": [0.5, 0, 0]}, "0 for a stage .* a stem replaces"),
        (
            {
                "dropout_per_stage": [0, 0, 0.5],
                "n_conv_per_stage": None,
                "n_blocks_per_stage": [1, 1, 1],
            },
            "for a plain encoder, and 0",
        ),
    ],
)
def test_invalid_arguments_are_named_in_the_error(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MAGUNet(**arguments(2, **changes))


def test_a_patch_must_fit_stages_and_dilations() -> None:
    network = ASPPUNet(**arguments(2, stage_kwargs={"dilations": [6, 12, 18]}))
    network.check_input_size((64, 64))
    with pytest.raises(ValueError, match=r"dilation 18 on a map of 16 voxels along axis 1"):
        network.check_input_size((64, 32))
    with pytest.raises(ValueError, match=r"patch of \(3, 64\) voxels is too small for 3 stages"):
        network.check_input_size((3, 64))
    with pytest.raises(ValueError, match="one voxel at the bottleneck"):
        ModularUNet(**arguments(2)).check_input_size((4, 4))
    with pytest.raises(ValueError, match="expected 2 spatial sizes"):
        MAGUNet(**arguments(2)).compute_conv_feature_map_size((1, 2, 16, 16))


def test_dilations_follow_the_map() -> None:
    network = ASPPUNet(**arguments(2, input_size=[64, 24]))
    found = [block.dilations for block in network.stage_blocks.values()]
    assert found == [[[6, 4], [12, 8], [18, 12]], [[5, 2], [11, 4], [16, 6]]]
    network.check_input_size((64, 24))
