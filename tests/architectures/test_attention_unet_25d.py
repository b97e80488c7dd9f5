from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from architectures.attention_unet_25d import AttentionUNet25D
from architectures.blocks.axial_attention import AxialAttention
from architectures.blocks.residual_unit import ResidualUnit
from architectures.blocks.squeeze_attention import SqueezeAttention
from architectures.outputs import Output

from .conftest import NORM, arguments

#: The network that the authors published; conv_op, norm_op, dropout_op and nonlin as classes.
PUBLISHED: dict[str, Any] = {
    "n_stages": 5,
    "features_per_stage": [32, 32, 64, 128, 256],
    "conv_op": nn.Conv3d,
    "kernel_sizes": [[1, 3, 3]] * 3 + [[3, 3, 3]] * 2,
    "strides": [[1, 1, 1], [1, 2, 2], [1, 2, 2], [1, 2, 2], [2, 2, 2]],
    "n_blocks_per_stage": [2] * 5,
    "n_conv_per_stage_decoder": [2] * 4,
    "conv_bias": True,
    "norm_op": nn.InstanceNorm3d,
    "norm_op_kwargs": {"eps": 1e-5, "affine": False},
    "dropout_op": nn.Dropout3d,
    "dropout_op_kwargs": {"p": 0.2},
    "nonlin": nn.ReLU,
    "nonlin_kwargs": {"inplace": True},
    "pool": "max",
    "deep_levels": 1,
}
#: Parameters and billions of multiplications of its parts for a patch of 16 x 192 x 192, summed over layers.
PARTS = {
    "encoder.stages.0": (28_128, 16.4962),
    "encoder.stages.1": (38_048, 5.5868),
    "encoder.stages.2": (131_392, 4.8318),
    "encoder.stages.3": (1_557_120, 14.3445),
    "encoder.stages.4": (6_227_200, 7.1723),
    "context": (824_128, 0.5965),
    "squeeze": (885_056, 0.1274),
    "decoder.squeezes.3": (221_344, 0.2548),
    "decoder.attentions.2": (12_546, 0.4601),
    "decoder.attentions.1": (3_202, 0.4671),
    "decoder.attentions.0": (3_202, 1.8686),
    "decoder.transpconvs.3": (262_272, 0.3020),
    "decoder.stages.3": (147_584 + 49_280 + 16_512, 1.9629),
    "decoder.transpconvs.0": (4_128, 0.6040),
    "decoder.stages.0": (9_248 + 3_104 + 1_056, 7.8517),
    "decoder.seg_layers": (66, 0.0377),
}


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def five_stages(**changes: Any) -> AttentionUNet25D:
    given = {
        "n_stages": 5,
        "features_per_stage": [4, 8, 8, 8, 8],
        "kernel_sizes": [[3, 3]] * 5,
        "strides": [[1, 1]] + [[2, 2]] * 4,
        "n_conv_per_stage": [2] * 5,
        "n_conv_per_stage_decoder": [2] * 4,
    }
    return AttentionUNet25D(**arguments(2, **(given | changes)))


def test_the_published_topology_has_the_published_size_and_cost() -> None:
    with torch.device("meta"):
        network = AttentionUNet25D(
            input_channels=1, num_classes=2, deep_supervision=True, **PUBLISHED
        )
        with FlopCounterMode(display=False) as flops:
            outputs = network(torch.empty(1, 1, 16, 192, 192))
    assert count(network) == 10_532_520
    assert flops.get_total_flops() / 2 == 67_494_371_328
    by_module = flops.get_flop_counts()
    for name, (parameters, multiplications) in PARTS.items():
        assert count(network.get_submodule(name)) == parameters, name
        if name != "decoder.seg_layers":  # its layers are called individually
            done = sum(by_module[f"AttentionUNet25D.{name}"].values()) / 2e9
            assert done == pytest.approx(multiplications, abs=6e-5), name
    sizes = [tuple(y.shape[1:]) for y in outputs]
    assert sizes == [(2, 16, 192, 192), (1, 16, 192, 192), (1, 16, 96, 96), (1, 16, 48, 48)]
    biases = sum(p.numel() for name, p in network.named_parameters() if name.endswith("bias"))
    assert biases == 5_032


def test_more_channels_and_classes_add_the_expected_parameters() -> None:
    with torch.device("meta"):
        channels = AttentionUNet25D(input_channels=3, num_classes=2, **PUBLISHED)
        classes = AttentionUNet25D(input_channels=1, num_classes=5, **PUBLISHED)
    assert count(channels) == 10_532_520 + 2 * (32 * 9 + 32)
    assert count(classes) == 10_532_520 + 3 * 33


def test_dropout_is_where_the_authors_have_it() -> None:
    with torch.device("meta"):
        network = AttentionUNet25D(input_channels=1, num_classes=2, **PUBLISHED)
    at = [name for name, m in network.named_modules() if isinstance(m, nn.Dropout3d)]
    assert sum(name.startswith("encoder") for name in at) == 10  # one per unit
    assert sum(name.startswith("decoder.stages") for name in at) == 4
    assert sum(name.startswith("context") for name in at) == 6
    assert sum("squeeze" in name for name in at) == 2
    assert len(at) == 22
    assert not any(isinstance(m, nn.Dropout3d) for m in AttentionUNet25D(**arguments(3)).modules())


def in_plane(rank: int, **changes: Any) -> dict[str, Any]:
    """A plan without convolution, pooling or normalisation along the first axis."""
    return arguments(
        rank,
        kernel_sizes=[[1] + [3] * (rank - 1)] * 3,
        strides=[[1] * rank] + [[1] + [2] * (rank - 1)] * 2,
        norm_op=None,
        norm_op_kwargs=None,
        nonlin=nn.Softplus,
        nonlin_kwargs={},
        **changes,
    )


@pytest.mark.parametrize("pool", ["max", "avg", "conv"])
def test_planes_are_independent_if_the_plan_stays_in_plane(rank: int, pool: str) -> None:
    network = AttentionUNet25D(**in_plane(rank, pool=pool), squeeze_levels=[], context=False)
    x = torch.randn(1, 2, 5, *[8] * (rank - 1), requires_grad=True)
    for y in network(x):
        (seen,) = torch.autograd.grad(y[:, :, 2].sum(), x, retain_graph=True)
        planes = seen.abs().flatten(3).amax((0, 1, 3)) > 0
        assert planes.tolist() == [False, False, True, False, False]


def test_planes_mix_from_the_first_isotropic_stage() -> None:
    kwargs = in_plane(3) | {"kernel_sizes": [[1, 3, 3], [1, 3, 3], [3, 3, 3]]}
    network = AttentionUNet25D(**kwargs, context=False)
    x = torch.randn(1, 2, 7, 8, 8, requires_grad=True)
    for skip, reach in zip(network.encoder(x), (0, 0, 2), strict=True):
        (seen,) = torch.autograd.grad(skip[:, :, 3].sum(), x, retain_graph=True)
        planes = seen.abs().amax((0, 1, 3, 4)) > 0
        assert planes.tolist() == [abs(plane - 3) <= reach for plane in range(7)]


def test_a_level_adds_the_skip_then_attends_then_convolves(rank: int) -> None:
    network = AttentionUNet25D(**arguments(rank, norm_op=None, norm_op_kwargs=None)).double().eval()
    skips = network.encoder(torch.randn(1, 2, *[16] * rank, dtype=torch.float64))
    decoder = network.decoder
    x = decoder.squeezes["1"](decoder.transpconvs[1](skips[-1]) + skips[1])
    x = decoder.transpconvs[0](decoder.stages[1](x)) + skips[0]
    w = decoder.attentions["0"].weights(x)
    fine, _, given = decoder(skips)
    assert_close(fine, decoder.seg_layers[0](decoder.stages[0](w * x + x)))
    assert_close(given, w)


def test_a_stage_pools_before_its_units(rank: int) -> None:
    network = AttentionUNet25D(**arguments(rank, isotropic=True, n_conv_per_stage=[2, 4, 2]))
    x = torch.randn(1, 2, *[16] * rank)
    fine, coarse, _ = network.eval().encoder(x)
    pooled = fine
    for axis in range(2, rank + 2):
        pooled = pooled.unflatten(axis, (-1, 2)).amax(axis + 1)
    _, first, second = network.encoder.stages[1]
    assert_close(coarse, second(first(pooled)))
    assert (type(first.shortcut), type(second.shortcut)) == (
        type(network.decoder.seg_layers[0]),
        nn.Identity,
    )


def test_the_first_shortcut_of_every_level_is_a_bare_convolution() -> None:
    network = five_stages(n_conv_per_stage=[4] * 5)
    for stage in (*network.encoder.stages, *network.decoder.stages):
        units = [m for m in stage if isinstance(m, ResidualUnit)]
        assert isinstance(units[0].shortcut, nn.Conv2d)
        assert units[0].shortcut.kernel_size == (1, 1)
        assert units[0].shortcut.bias is not None
        assert all(isinstance(unit.shortcut, nn.Identity) for unit in units[1:])


def kernels_of(units: nn.Module) -> list[tuple[int, ...]]:
    return [conv.kernel_size for unit in units for conv in (unit.first[0], unit.second[0])]


def test_the_decoder_convolves_in_plane_then_through_plane_at_every_level() -> None:
    network = AttentionUNet25D(**arguments(3, attention_levels=[0, 1]))  # isotropic from stage 1
    for stage in network.decoder.stages:
        assert kernels_of(stage) == [(1, 3, 3), (3, 1, 1)]
    for attention in network.decoder.attentions.values():
        along = [[conv[0].kernel_size for conv in branch] for branch in attention.branches]
        assert along == [[(1, 3, 1), (1, 1, 3)], [(1, 1, 3), (1, 3, 1)]]
    assert network.squeeze.attend[0][0].kernel_size == (3, 3, 3)
    assert kernels_of(network.encoder.stages[0]) == [(1, 3, 3)] * 2
    assert kernels_of(network.encoder.stages[2][1:]) == [(3, 3, 3)] * 2


def test_any_axis_can_be_through_plane_with_the_plans_kernel() -> None:
    kernels = [[3, 3, 1], [3, 3, 1], [3, 3, 5]]
    stages = AttentionUNet25D(**arguments(3, kernel_sizes=kernels)).decoder.stages
    assert [kernels_of(stage) for stage in stages] == [[(3, 3, 1), (1, 1, 5)]] * 2


@pytest.mark.parametrize(
    "kernels",
    [
        [[3, 3, 3], [3, 3, 5], [3, 3, 3]],
        [[1, 3, 3]] * 3,
        [[5, 3]] * 3,
        [[1, 1, 1], [3, 3, 3], [3, 3, 3]],  # every axis would be through-plane
    ],
)
def test_without_a_through_plane_axis_the_decoder_has_the_plans_kernels(
    kernels: list[list[int]],
) -> None:
    stages = AttentionUNet25D(**arguments(len(kernels[0]), kernel_sizes=kernels)).decoder.stages
    assert [kernels_of(stage) for stage in stages] == [[tuple(k)] * 2 for k in kernels[:2]]


def test_an_isotropic_plan_has_branches_along_all_axes(rank: int) -> None:
    network = AttentionUNet25D(**arguments(rank, isotropic=True))
    assert [len(b) for b in network.decoder.attentions["0"].branches] == [rank, rank]


def test_the_bottleneck_passes_context_then_squeeze_attention() -> None:
    network = AttentionUNet25D(**arguments(2)).eval()
    x = torch.randn(1, 2, 16, 16)
    skips = network.encoder(x)
    skips[-1] = network.squeeze(network.context(skips[-1]))
    for a, b in zip(network(x), network.decoder(skips), strict=True):
        assert_close(a, b)


def test_by_default_blocks_are_where_the_paper_has_them() -> None:
    network = five_stages()
    assert set(network.decoder.attentions) == {"0", "1", "2"}
    assert set(network.decoder.squeezes) == {"3"}
    assert network.squeeze is not None
    assert network.outputs == tuple(
        [Output("logits", (2**s, 2**s)) for s in range(4)]
        + [Output("attention", (2**s, 2**s)) for s in range(3)]
    )
    blocks = {AxialAttention: 3, SqueezeAttention: 2}
    for kind, number in blocks.items():
        assert sum(isinstance(m, kind) for m in network.modules()) == number


def test_levels_and_context_can_be_chosen() -> None:
    network = five_stages(attention_levels=[3, 1], squeeze_levels=[1], context=False, deep_levels=2)
    assert [(o.kind, o.stride[0]) for o in network.outputs] == [
        ("logits", 1), ("logits", 2), ("attention", 2), ("attention", 8),
    ]  # fmt: skip
    assert network.context is None
    assert network.squeeze is None
    assert len(network.decoder.seg_layers) == 2
    outputs = network(torch.randn(1, 2, 33, 47))
    assert [tuple(y.shape[1:]) for y in outputs] == [
        (3, 33, 47), (3, 17, 24), (1, 17, 24), (1, 5, 6),
    ]  # fmt: skip
    assert [o.kind for o in five_stages(attention_levels=[]).outputs] == ["logits"] * 4


def test_two_stages_have_one_level_with_both() -> None:
    two = {
        "n_stages": 2,
        "features_per_stage": [4, 8],
        "kernel_sizes": [[3, 3]] * 2,
        "strides": [[1, 1], [2, 2]],
        "n_conv_per_stage": [2, 2],
        "n_conv_per_stage_decoder": [2],
    }
    network = AttentionUNet25D(**arguments(2, **two))
    assert [set(network.decoder.squeezes), set(network.decoder.attentions)] == [{"0"}, {"0"}]
    assert [o.kind for o in network.outputs] == ["logits", "attention"]
    with pytest.raises(ValueError, match="n_stages is 1, expected 2 or more"):
        AttentionUNet25D(**arguments(2, n_stages=1))


def test_a_plain_plan_gives_half_as_many_units_as_convolutions() -> None:
    plain = AttentionUNet25D(**arguments(2, n_conv_per_stage=[1, 2, 3]))
    residual = AttentionUNet25D(**arguments(2, n_conv_per_stage=None, n_blocks_per_stage=[1, 1, 2]))
    assert {k: v.shape for k, v in plain.state_dict().items()} == {
        k: v.shape for k, v in residual.state_dict().items()
    }


def test_decoder_depths_go_from_coarse_to_fine_as_in_plans() -> None:
    for convolutions, units in (([1, 3], [2, 1]), ([4, 2], [1, 2])):
        network = AttentionUNet25D(**arguments(2, n_conv_per_stage_decoder=convolutions))
        assert [len(stage) for stage in network.decoder.stages] == units


def test_a_pooling_of_stride_1_is_left_out() -> None:
    network = AttentionUNet25D(**arguments(3))
    pools = [m for m in network.modules() if isinstance(m, nn.MaxPool3d)]
    assert [list(p.kernel_size) for p in pools] == [[1, 2, 2], [2, 2, 2]]
    strided = AttentionUNet25D(**arguments(3, pool="conv"))
    assert not [m for m in strided.modules() if isinstance(m, nn.MaxPool3d)]
    for stage, stride in zip(strided.encoder.stages, strided.topology.strides, strict=True):
        assert list(stage[0].first[0].stride) == list(stage[0].shortcut.stride) == stride


def test_initially_every_unit_equals_its_shortcut(rank: int) -> None:
    network = AttentionUNet25D(**arguments(rank)).eval()
    network.apply(network.initialize)
    units = [m for m in network.modules() if isinstance(m, ResidualUnit)]
    assert len(units) == 5
    for unit in units:
        x = torch.randn(1, unit.first[0].in_channels, *[8] * rank)
        assert_close(unit(x), unit.nonlin(unit.shortcut(x)))
        # He's initialisation except for the shortcut, which preserves the scale.
        fan = unit.first[0].weight[0].numel()
        assert unit.first[0].weight.std().item() == pytest.approx((2 / fan) ** 0.5, rel=0.2)
        assert not unit.first[0].bias.any()


def test_initial_logits_are_small_although_shortcuts_have_no_norm(rank: int) -> None:
    network = AttentionUNet25D(**arguments(rank, deep_supervision=False)).eval()
    network.apply(network.initialize)
    assert 0.1 < network(torch.randn(1, 2, *[16] * rank)).std() < 5


def test_pretraining_keys_name_real_modules(rank: int) -> None:
    network = AttentionUNet25D(**arguments(rank))
    named = [network.get_submodule(key) for key in network.keys_to_in_proj]
    image = [m for m in network.modules() if isinstance(m, _ConvNd) and m.in_channels == 2]
    assert set(map(id, named)) == set(map(id, image))
    assert len(named) == 2
    stem = network.get_submodule(network.key_to_stem)
    assert network.get_submodule(network.key_to_encoder)[0] is stem
    strided = AttentionUNet25D(**arguments(rank, strides=[[2] * rank] * 3))
    assert strided.get_submodule(strided.keys_to_in_proj[1]).in_channels == 2


def test_feature_maps_are_the_convolutions_outputs(rank: int) -> None:
    network = AttentionUNet25D(**arguments(rank))
    size = [16] * rank
    sizes: list[int] = []
    for module in network.modules():
        if isinstance(module, _ConvNd):
            module.register_forward_hook(lambda _m, _x, y: sizes.append(y[:1].numel()))
    network(torch.randn(2, 2, *size))
    assert AttentionUNet25D(**arguments(rank)).compute_conv_feature_map_size(size) == sum(sizes)
    with pytest.raises(ValueError, match=f"expected {rank} spatial sizes"):
        network.compute_conv_feature_map_size([2, *size])


def test_invalid_arguments_are_named_in_the_error() -> None:
    for changes, message in (
        ({"pool": "min"}, "pool is 'min'; allowed: conv, max, avg"),
        ({"deep_levels": 3}, "deep_levels is 3; 1 to 2 levels can have a head"),
        (
            {"attention_levels": [2]},
            r"attention_levels is \[2\]; expected levels 0 to 1, each once",
        ),
        ({"squeeze_levels": [1, 1]}, r"squeeze_levels is \[1, 1\]; expected levels 0 to 2, each"),
        ({"n_blocks_per_stage": [1, 1, 1]}, "AttentionUNet25D: expected either n_conv_per_stage"),
        ({"n_conv_per_stage_decoder": [1]}, "n_conv_per_stage_decoder has 1 entries, expected 2"),
    ):
        with pytest.raises(ValueError, match=message):
            AttentionUNet25D(**arguments(2, **changes))


@pytest.mark.parametrize("size", [(8, 8), (4, 8), (12, 4), (2, 8, 4), (4, 4, 4), (2, 4, 12)])
def test_it_trains_on_any_bottleneck_of_two_voxels_or_more(size: tuple[int, ...]) -> None:
    network = AttentionUNet25D(**arguments(len(size)))
    network.check_input_size(size)
    outputs = network.train()(torch.randn(1, 2, *size))
    assert outputs[0].shape[2:] == size
    sum(y.square().mean() for y in outputs).backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())


def test_a_bottleneck_of_one_voxel_is_an_error(rank: int) -> None:
    network = AttentionUNet25D(**arguments(rank))
    size = [4, 4] if rank == 2 else [2, 4, 4]
    with pytest.raises(ValueError, match=r"AttentionUNet25D: a patch of .* leaves one voxel"):
        network.check_input_size(size)
    with pytest.raises(ValueError, match="Expected more than 1 spatial element"):
        network.train()(torch.randn(2, 2, *size))


def test_it_works_with_batch_normalisation(rank: int) -> None:
    batch = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[rank]
    network = AttentionUNet25D(**arguments(rank, norm_op=batch)).train()
    assert all(torch.isfinite(y).all() for y in network(torch.randn(1, 2, *[16] * rank)))
    assert NORM[rank] not in {type(m) for m in network.modules()}
