"""Where the decoder and the next stage branch off (cai2023-aspp-unet, section 2.4)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from architectures.aspp_unet import ASPPUNet
from architectures.unet_encoder import body

from .conftest import arguments


def recorded(network: Any, x: Tensor) -> dict[str, list[Tensor]]:
    """Inputs of the decoder, outputs of each stage's convolutions, inputs and outputs of the pyramids."""
    found: dict[str, list[Tensor]] = {"skips": [], "convolutions": [], "into": [], "out": []}
    network.decoder.register_forward_pre_hook(lambda _m, args: found["skips"].extend(args[0]))
    for s in range(len(network.encoder.stages)):
        body(network.encoder, s).register_forward_hook(
            lambda _m, _x, y: found["convolutions"].append(y)
        )
    for block in network.stage_blocks.values():
        block.register_forward_hook(lambda _m, x, _y: found["into"].append(x[0]))
        block.register_forward_hook(lambda _m, _x, y: found["out"].append(y))
    network(x)
    return found


@pytest.mark.parametrize("residual", [False, True], ids=["plain", "residual"])
def test_a_skip_is_what_the_convolutions_give_and_the_next_stage_takes_the_pyramid(
    rank: int, residual: bool
) -> None:
    network = ASPPUNet(**arguments(rank, residual=residual)).eval()
    found = recorded(network, torch.randn(1, 2, *[16] * rank))
    for s in range(2):
        assert_close(found["skips"][s], found["convolutions"][s], rtol=0, atol=0)
        assert_close(found["into"][s], found["convolutions"][s], rtol=0, atol=0)
        assert_close(network.encoder.stages[s + 1](found["out"][s]), found["convolutions"][s + 1])
    assert_close(found["skips"][2], found["convolutions"][2], rtol=0, atol=0)


def test_the_pyramid_of_the_last_stage_acts_on_the_bottleneck() -> None:
    network = ASPPUNet(**arguments(2, stage_at=[2])).eval()
    found = recorded(network, torch.randn(1, 2, 16, 16))
    assert_close(found["into"][0], found["convolutions"][2], rtol=0, atol=0)
    assert_close(found["skips"][2], found["out"][0], rtol=0, atol=0)


def test_the_skip_of_the_finest_level_does_not_depend_on_its_pyramid() -> None:
    network = ASPPUNet(**arguments(2)).eval()
    x = torch.randn(1, 2, 16, 16)
    before = recorded(network, x)["skips"]
    with torch.no_grad():
        for p in network.stage_blocks["0"].parameters():
            p.add_(1)
    after = recorded(network, x)["skips"]
    assert torch.equal(before[0], after[0])
    assert not torch.allclose(before[1], after[1])


def test_the_pyramids_count_as_feature_maps_of_their_stage() -> None:
    size = [32, 32]
    with_them, without = (
        ASPPUNet(**arguments(2, stage=stage, stage_kwargs=kwargs)).compute_conv_feature_map_size(
            size
        )
        for stage, kwargs in (("aspp", {"dilations": [1]}), ("plain", None))
    )
    # Two branches of half the width and the merged map, and the mean: its half and its full width.
    assert with_them - without == sum(2 * c * n * n + c // 2 + c for c, n in ((8, 32), (16, 16)))
