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
from architectures.blocks.squeeze_attention import SqueezeAttention
from architectures.outputs import Output

from .conftest import NORM, arguments

#: What comes nearest to the paper's network; conv_op, norm_op and nonlin as classes.
NEAREST: dict[str, Any] = {
    "n_stages": 5,
    "features_per_stage": [24, 48, 96, 192, 256],
    "conv_op": nn.Conv3d,
    "kernel_sizes": [[1, 3, 3]] * 3 + [[3, 3, 3]] * 2,
    "strides": [[1, 1, 1], [1, 2, 2], [1, 2, 2], [1, 2, 2], [2, 2, 2]],
    "n_blocks_per_stage": [1] * 5,
    "n_conv_per_stage_decoder": [1] * 4,
    "conv_bias": True,
    "norm_op": nn.InstanceNorm3d,
    "norm_op_kwargs": {"eps": 1e-5, "affine": False},
    "dropout_op": None,
    "dropout_op_kwargs": None,
    "nonlin": nn.ReLU,
    "nonlin_kwargs": {"inplace": True},
    "pool": "max",
    "deep_levels": 1,
    "attention_levels": [0, 1, 2],
    "squeeze_levels": [3, 4],
    "context": True,
    "attention_kwargs": {"length": 9},
    "squeeze_kwargs": {"reduction": 4},
    "context_kwargs": {"dilations": [1, 2, 3]},
}
#: Measured on the authors' code for 192x192x16: parameters and multiplications.
PUBLISHED = (10_532_520, 67.5e9)


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def five_stages(**changes: Any) -> AttentionUNet25D:
    given = {
        "n_stages": 5,
        "features_per_stage": [4, 8, 8, 8, 8],
        "kernel_sizes": [[3, 3]] * 5,
        "strides": [[1, 1]] + [[2, 2]] * 4,
        "n_conv_per_stage": [2] * 5,
        "n_conv_per_stage_decoder": [1] * 4,
    }
    return AttentionUNet25D(**arguments(2, **(given | changes)))


def test_the_nearest_topology_is_two_percent_from_the_published_count() -> None:
    with torch.device("meta"):
        network = AttentionUNet25D(1, num_classes=2, deep_supervision=True, **NEAREST)
        with FlopCounterMode(display=False) as flops:
            network(torch.empty(1, 1, 16, 192, 192))
    assert count(network) == 10_737_544
    assert count(network) / PUBLISHED[0] == pytest.approx(1.02, abs=0.001)
    assert flops.get_total_flops() / 2 == pytest.approx(PUBLISHED[1], rel=1e-3)
    assert [o.kind for o in network.outputs] == ["logits", *["attention"] * 3]


def test_the_count_is_the_sum_of_its_parts() -> None:
    """Every convolution written down, with its bias: inputs x outputs x taps + outputs."""

    def conv(taps: int, inputs: int, outputs: int) -> int:
        return taps * inputs * outputs + outputs

    widths, taps = [24, 48, 96, 192, 256], [9, 9, 9, 27, 27]
    total = conv(9, 1, 24)
    for below, width, k in zip([24, *widths], widths, taps, strict=False):
        total += conv(k, below, width) + conv(k, width, width)
        total += below * width if below != width else 0  # the shortcut has no bias
    total += conv(1, 256, 128) + 3 * conv(27, 256, 128) + conv(1, 512, 256)
    for width in widths[3:]:
        total += conv(27, width, width // 4) + conv(27, width // 4, width)
    for s, volume in enumerate([4, 4, 4, 8]):
        total += conv(volume, widths[s + 1], widths[s]) + conv(taps[s], widths[s], widths[s])
    for width in widths[:3]:
        total += 2 * (conv(9, width, width // 2) + conv(9, width // 2, 1))
    total += conv(1, 24, 2)
    with torch.device("meta"):
        assert count(AttentionUNet25D(1, num_classes=2, **NEAREST)) == total


def in_plane(rank: int, **changes: Any) -> dict[str, Any]:
    """A plan of which no stage convolves or pools along the first axis, and no norm that would mix planes."""
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
def test_where_the_plan_stays_in_plane_no_plane_sees_another(rank: int, pool: str) -> None:
    network = AttentionUNet25D(**in_plane(rank, pool=pool))
    x = torch.randn(1, 2, 5, *[8] * (rank - 1), requires_grad=True)
    for y in network(x):
        (seen,) = torch.autograd.grad(y[:, :, 2].sum(), x, retain_graph=True)
        planes = seen.abs().flatten(3).amax((0, 1, 3)) > 0
        assert planes.tolist() == [False, False, True, False, False]


def test_from_the_first_isotropic_stage_on_planes_mix() -> None:
    kwargs = in_plane(3) | {"kernel_sizes": [[1, 3, 3], [1, 3, 3], [3, 3, 3]]}
    network = AttentionUNet25D(**kwargs, context=False)
    x = torch.randn(1, 2, 7, 8, 8, requires_grad=True)
    for skip, reach in zip(network.encoder(x), (0, 0, 2), strict=True):
        (seen,) = torch.autograd.grad(skip[:, :, 3].sum(), x, retain_graph=True)
        planes = seen.abs().amax((0, 1, 3, 4)) > 0
        assert planes.tolist() == [abs(plane - 3) <= reach for plane in range(7)]


def test_a_level_adds_its_skip(rank: int) -> None:
    network = AttentionUNet25D(**arguments(rank, norm_op=None, norm_op_kwargs=None)).double().eval()
    skips = network.encoder(torch.randn(1, 2, *[16] * rank, dtype=torch.float64))
    decoder = network.decoder
    x = skips[-1]
    for s in (1, 0):
        x = decoder.stages[s](decoder.transpconvs[s](x) + skips[s])
        if s == 1:
            x = decoder.squeezes["1"](x)
        else:
            w = decoder.attentions["0"].weights(x)
            x = w * x + x
    fine, _, given = decoder(skips)
    assert_close(fine, decoder.seg_layers[0](x))
    assert_close(given, w)


def test_the_bottleneck_is_put_into_context_and_weighed() -> None:
    network = AttentionUNet25D(**arguments(2)).eval()
    x = torch.randn(1, 2, 16, 16)
    skips = network.encoder(x)
    skips[-1] = network.squeeze(network.context(skips[-1]))
    for a, b in zip(network(x), network.decoder(skips), strict=True):
        assert_close(a, b)


def test_blocks_sit_where_the_paper_has_them() -> None:
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


def test_blocks_go_where_they_are_told() -> None:
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
        "n_conv_per_stage_decoder": [1],
    }
    network = AttentionUNet25D(**arguments(2, **two))
    assert [set(network.decoder.squeezes), set(network.decoder.attentions)] == [{"0"}, {"0"}]
    assert [o.kind for o in network.outputs] == ["logits", "attention"]
    with pytest.raises(ValueError, match="n_stages is 1; 2 or more are wanted"):
        AttentionUNet25D(**arguments(2, n_stages=1))


def test_attention_kernels_stay_in_the_plans_plane() -> None:
    network = AttentionUNet25D(**arguments(3))  # the first stage is in plane, the others are not
    thin = [
        [m.kernel_size for m in branch if isinstance(m, nn.Conv3d)]
        for branch in network.decoder.attentions["0"].branches
    ]
    assert thin == [[(1, 9, 1), (1, 1, 9)], [(1, 1, 9), (1, 9, 1)]]
    every = AttentionUNet25D(**arguments(3, attention_levels=[1])).decoder.attentions["1"]
    assert len(every.branches) == 3
    first = [
        m.kernel_size[0] for m in network.encoder.stages[0].modules() if isinstance(m, nn.Conv3d)
    ]
    assert set(first) == {1}


def test_a_plain_plan_gives_half_as_many_blocks() -> None:
    plain = AttentionUNet25D(**arguments(2, n_conv_per_stage=[1, 2, 3]))
    residual = AttentionUNet25D(**arguments(2, n_conv_per_stage=None, n_blocks_per_stage=[1, 1, 2]))
    assert {k: v.shape for k, v in plain.state_dict().items()} == {
        k: v.shape for k, v in residual.state_dict().items()
    }


def test_decoder_depths_go_from_coarse_to_fine_as_in_plans() -> None:
    stages = AttentionUNet25D(**arguments(2, n_conv_per_stage_decoder=[1, 3])).decoder.stages
    assert [len(stage.convs) for stage in stages] == [3, 1]


def test_a_pooling_that_changes_nothing_is_left_out() -> None:
    network = AttentionUNet25D(**arguments(3))
    pools = [m for m in network.modules() if isinstance(m, nn.MaxPool3d)]
    assert [list(p.kernel_size) for p in pools] == [[1, 2, 2], [2, 2, 2]]
    assert not [m for m in five_stages(pool="conv").modules() if isinstance(m, nn.MaxPool2d)]


def test_it_starts_with_closed_branches_where_they_can_be() -> None:
    network = AttentionUNet25D(**arguments(2))
    network.apply(network.initialize)
    closed = network.encoder.stages[0].blocks[0].conv2.norm
    assert not closed.weight.any()
    for norm in ({"norm_op_kwargs": {"affine": False}}, {"norm_op": None, "norm_op_kwargs": None}):
        other = AttentionUNet25D(**arguments(2, **norm))
        other.apply(other.initialize)
        assert other.encoder.stages[0].blocks[0].conv2.conv.weight.any()


def test_pretraining_keys_name_real_modules(rank: int) -> None:
    network = AttentionUNet25D(**arguments(rank))
    first, again = (network.get_submodule(key) for key in network.keys_to_in_proj)
    assert first is again
    assert first.in_channels == 2
    network.get_submodule(network.key_to_stem)
    network.get_submodule(network.key_to_encoder)


def test_feature_maps_are_the_convolutions_outputs(rank: int) -> None:
    network = AttentionUNet25D(**arguments(rank))
    size = [16] * rank
    sizes: list[int] = []
    for module in network.modules():
        if isinstance(module, _ConvNd):
            module.register_forward_hook(lambda _m, _x, y: sizes.append(y[:1].numel()))
    network(torch.randn(2, 2, *size))
    assert AttentionUNet25D(**arguments(rank)).compute_conv_feature_map_size(size) == sum(sizes)
    with pytest.raises(ValueError, match=f"{rank} spatial sizes are wanted"):
        network.compute_conv_feature_map_size([2, *size])


def test_bad_arguments_are_named() -> None:
    for changes, message in (
        ({"pool": "min"}, "pool is 'min'; allowed: conv, max, avg"),
        ({"deep_levels": 3}, "deep_levels is 3; 1 to 2 levels can have a head"),
        (
            {"attention_levels": [2]},
            r"attention_levels is \[2\]; wanted are levels 0 to 1, each once",
        ),
        ({"squeeze_levels": [1, 1]}, r"squeeze_levels is \[1, 1\]; wanted are levels 0 to 2, each"),
        ({"n_blocks_per_stage": [1, 1, 1]}, "AttentionUNet25D: give n_conv_per_stage"),
        ({"n_conv_per_stage_decoder": [1]}, "n_conv_per_stage_decoder has 1 entries; 2 are wanted"),
    ):
        with pytest.raises(ValueError, match=message):
            AttentionUNet25D(**arguments(2, **changes))


def test_a_patch_is_refused_where_half_the_bottleneck_is_one_voxel(rank: int) -> None:
    network = AttentionUNet25D(**arguments(rank))
    size = [8] * rank if rank == 2 else [4, 8, 8]
    with pytest.raises(
        ValueError, match=r"AttentionUNet25D: a patch of .* half of which is one voxel"
    ):
        network.check_input_size(size)
    with pytest.raises(ValueError, match="Expected more than 1 spatial element"):
        network.train()(torch.randn(2, 2, *size))
    network.check_input_size([16] * rank)
    alone = AttentionUNet25D(**arguments(rank, squeeze_levels=[], context=False))
    alone.check_input_size(size)
    alone.train()(torch.randn(2, 2, *size))
    far = AttentionUNet25D(**arguments(rank, context_kwargs={"dilations": [8]}))
    with pytest.raises(ValueError, match="AttentionUNet25D: context_kwargs: Context: dilation 8"):
        far.check_input_size([16] * rank)


def test_a_norm_that_takes_the_batch_works_too(rank: int) -> None:
    batch = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[rank]
    network = AttentionUNet25D(**arguments(rank, norm_op=batch)).train()
    assert all(torch.isfinite(y).all() for y in network(torch.randn(1, 2, *[16] * rank)))
    assert NORM[rank] not in {type(m) for m in network.modules()}
