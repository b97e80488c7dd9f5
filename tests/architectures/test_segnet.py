from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from architectures.segnet import SegNet

from .conftest import CONV, arguments

F_CONV = {2: F.conv2d, 3: F.conv3d}
STRIDE = {2: (2, 2), 3: (1, 2, 2)}


def two_stages(rank: int, depths: list[int], features: list[int]) -> SegNet:
    """One pooling, no normalisation: small enough to be written out."""
    return SegNet(
        **arguments(
            rank,
            n_stages=2,
            features_per_stage=features,
            kernel_sizes=[[3] * rank] * 2,
            strides=[[1] * rank, list(STRIDE[rank])],
            norm_op=None,
            norm_op_kwargs=None,
            convs_per_stage=depths,
            deep_supervision=False,
        )
    ).double()


def windows(x: Tensor, rank: int) -> itertools.product[tuple[int, ...]]:
    return itertools.product(
        *(range(0, n, s) for n, s in zip(x.shape[2:], STRIDE[rank], strict=True))
    )


def test_unpooling_restores_each_maximum_to_its_position(rank: int) -> None:
    network = two_stages(rank, [1, 0], [4, 4])
    x = torch.randn(2, 2, *[4] * rank, dtype=torch.float64)
    full = network.encoder[0](x)
    kept = torch.zeros_like(full)
    for b, c in itertools.product(range(2), range(4)):
        for corner in windows(full, rank):
            at = (b, c, *(slice(k, k + s) for k, s in zip(corner, STRIDE[rank], strict=True)))
            largest = full[at].max()
            kept[at] = torch.where(full[at] == largest, largest, 0.0)
    assert (kept != 0).sum() == full.numel() / 4
    assert_close(network(x), network.decoder.seg_layers[0](kept))


def test_it_is_the_written_out_network(rank: int) -> None:
    network = two_stages(rank, [2, 2], [4, 6])
    x = torch.randn(1, 2, *[4] * rank, dtype=torch.float64)
    in_order = nn.ModuleList([network.encoder, network.decoder.stages, network.decoder.seg_layers])
    convs = [m for m in in_order.modules() if isinstance(m, CONV[rank])]
    assert [(c.in_channels, c.out_channels) for c in convs] == [
        (2, 4), (4, 4), (4, 6), (6, 6), (6, 6), (6, 4), (4, 4), (4, 3),
    ]  # fmt: skip

    def step(x: Tensor, conv: Any) -> Tensor:
        return F.leaky_relu(F_CONV[rank](x, conv.weight, conv.bias, padding=1), 0.01)

    full = step(step(x, convs[0]), convs[1])
    stride = STRIDE[rank]
    pooled = torch.stack(
        [
            full[(..., *(slice(o, None, s) for o, s in zip(offset, stride, strict=True)))]
            for offset in itertools.product(*map(range, stride))
        ]
    ).amax(0)

    def spread(x: Tensor) -> Tensor:
        for axis, s in enumerate(stride, start=2):
            x = x.repeat_interleave(s, axis)
        return x

    low = pooled
    for conv in convs[2:6]:
        low = step(low, conv)
    up = spread(low) * (full == spread(pooled))
    y = step(up, convs[6])
    assert_close(network(x), F_CONV[rank](y, convs[7].weight, convs[7].bias, padding=1))


def test_the_depth_is_vgg16s_unless_given_never_the_u_nets() -> None:
    def depths(**changes: Any) -> list[int]:
        rows = {
            "n_stages": 7,
            "features_per_stage": [4] * 7,
            "kernel_sizes": [[3, 3]] * 7,
            "strides": [[1, 1]] + [[2, 2]] * 6,
            "n_conv_per_stage": [1] * 7,
            "n_conv_per_stage_decoder": [1] * 6,
        }
        with torch.device("meta"):
            network = SegNet(**arguments(2, **(rows | changes)))
        stages = [*network.encoder, *network.decoder.stages]
        return [sum(isinstance(m, nn.Conv2d) for m in stage.modules()) for stage in stages]

    down = [2, 2, 3, 3, 3, 3, 3]
    # On the way up the head takes the place of the last one.
    assert depths() == [*down, *down[:0:-1], 1]
    assert depths(convs_per_stage=2) == [2] * 13 + [1]


def published(rank: int, n_stages: int) -> SegNet:
    pass_through = n_stages - 4
    with torch.device("meta"):
        return SegNet(
            **arguments(
                rank,
                input_channels=1,
                num_classes=9,
                n_stages=n_stages,
                features_per_stage=[64, 128, 256, 512] + [512] * pass_through,
                kernel_sizes=[[3] * rank] * n_stages,
                strides=[[1] * rank] + [[2] * rank] * (n_stages - 1),
                convs_per_stage=[1, 2, 3, 3] + [0] * pass_through,
                norm_op=nn.BatchNorm2d if rank == 2 else nn.BatchNorm3d,
                nonlin=nn.ReLU,
            )
        )


@pytest.mark.parametrize("n_stages", [4, 5], ids=["3 poolings", "4 poolings"])
def test_it_has_the_15_21_million_parameters_printed_in_cai2023(n_stages: int) -> None:
    network = published(2, n_stages)
    assert sum(p.numel() for p in network.parameters()) == 15_207_945


def test_the_counted_maps_are_those_of_convolutions_and_unpoolings() -> None:
    # 16 x 16, halved four times: 256, 64, 16, 4, 1 pixels.
    convolutions = 256 * 64 + 64 * 2 * 128 + 16 * 3 * 256 + 4 * 3 * 512
    mirrored = 256 * 9 + 64 * (128 + 64) + 16 * (2 * 256 + 128) + 4 * (2 * 512 + 256)
    unpooled = 256 * 64 + 64 * 128 + 16 * 256 + 4 * 512
    count = published(2, 5).compute_conv_feature_map_size((16, 16))
    assert count == convolutions + mirrored + unpooled
    # One more row is padded to a multiple of the strides.
    assert published(2, 5).compute_conv_feature_map_size((17, 16)) == 2 * count


def test_batch_normalisation_trains_with_one_sample(rank: int) -> None:
    norm = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[rank]
    network = SegNet(**arguments(rank, norm_op=norm)).train()
    size = [9, 6, 5][:rank]
    (y,) = network(torch.randn(1, 2, *size))
    assert y.shape == (1, 3, *size)
    y.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_it_accepts_plans_of_a_residual_encoder(rank: int) -> None:
    plain, residual = (SegNet(**arguments(rank, residual=r)) for r in (False, True))
    assert plain.state_dict().keys() == residual.state_dict().keys()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"convs_per_stage": [1, 2]}, "SegNet: convs_per_stage has 2 entries, expected 3"),
        ({"convs_per_stage": [0, 1, 1]}, "stage 0 needs 1 or more"),
        (
            {"convs_per_stage": [1, 0, 1]},
            "stage 1 needs 1 or more, or 0 .* features of the previous stage",
        ),
        ({"convs_per_stage": [1, 1, -1]}, "stage 2 needs 1 or more"),
        ({"strides": [[2, 2]] * 3}, r"the first stage has stride \[2, 2\]; it must be 1"),
        (
            {"strides": [[1, 1], [2, 2, 2], [2, 2]]},
            r"strides of stage 1 is \[2, 2, 2\], expected 2",
        ),
        ({"kernel_sizes": [[3, 3], [3, 2], [3, 3]]}, "every axis must be odd"),
    ],
)
def test_invalid_arguments_are_named_in_the_error(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SegNet(**arguments(2, **changes))
