"""MedNeXt equals MONAI's at MONAI's sizes, and has the published numbers of parameters."""

from __future__ import annotations

import pytest
import torch
from monai.networks.nets.mednext import MedNeXt as MonaisMedNeXt
from torch import Tensor, nn
from torch.testing import assert_close

from architectures.blocks.mednext import MedNeXtBlock
from architectures.mednext import SIZES, MedNeXt

from .conftest import CONV, arguments

#: Millions of parameters, from the table in the authors' repository (MIC-DKFZ/MedNeXt).
PUBLISHED = {
    ("S", 3): 5.6, ("B", 3): 10.5, ("M", 3): 17.6, ("L", 3): 61.8,
    ("S", 5): 5.9, ("B", 5): 11.0, ("M", 5): 18.3, ("L", 5): 63.0,
}  # fmt: skip


def state(*modules: nn.Module) -> list[Tensor]:
    return [value for module in modules for value in module.state_dict().values()]


def test_at_its_published_topology_it_is_monais(rank: int) -> None:
    theirs = MonaisMedNeXt(
        spatial_dims=rank, init_filters=4, in_channels=2, out_channels=3, kernel_size=3,
        deep_supervision=True, use_residual_connection=True,
    )  # fmt: skip
    plan = {
        "n_stages": 5, "features_per_stage": [4, 8, 16, 32, 64], "kernel_sizes": 3, "strides": [1, 2, 2, 2, 2],
        "n_conv_per_stage": 2, "n_conv_per_stage_decoder": 2,
    }  # fmt: skip
    ours = MedNeXt(
        input_channels=2, num_classes=3, conv_op=CONV[rank], deep_supervision=True, **plan
    )
    pairs = zip(
        state(ours.stem, ours.encoder, ours.down, ours.decoder.up, ours.decoder.stages),
        state(
            theirs.stem, theirs.enc_stages, theirs.bottleneck, theirs.down_blocks, theirs.up_blocks,
            theirs.dec_stages,
        ),
        strict=True,
    )  # fmt: skip
    heads = zip(
        reversed(ours.decoder.seg_layers),
        [theirs.out_0, *reversed(theirs.out_blocks)],
        strict=False,
    )
    with torch.no_grad():
        for mine, given in pairs:
            mine.copy_(given)
        for mine, given in heads:  # theirs are transposed convolutions of kernel 1
            mine.weight.copy_(given.conv_out.weight.transpose(0, 1))
            mine.bias.copy_(given.conv_out.bias)
        x = torch.randn(1, 2, *[32] * rank)
        expected = theirs.train()(x)[:4]  # without the head of the bottleneck
        for mine, given in zip(ours(x), expected, strict=True):
            assert_close(mine, given, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("size", "kernel"), PUBLISHED)
def test_the_numbers_of_parameters_are_the_published_ones(size: str, kernel: int) -> None:
    """The table has one digit. Kernel 5 of S has 5.99 million: the table cuts there and rounds elsewhere."""
    with torch.device("meta"):
        network = MedNeXt(
            size=size, kernel=kernel, input_channels=1, num_classes=14, n_stages=5,
            features_per_stage=[32, 64, 128, 256, 512], conv_op=nn.Conv3d, kernel_sizes=3,
            strides=[1, 2, 2, 2, 2], n_conv_per_stage=2,
        )  # fmt: skip
    millions = sum(p.numel() for p in network.parameters()) / 1e6
    if (size, kernel) == ("S", 5):
        assert int(10 * millions) / 10 == 5.9
    else:
        assert round(millions, 1) == PUBLISHED[size, kernel]


def test_the_plan_decides_axes_strides_and_widths() -> None:
    network = MedNeXt(**arguments(3, isotropic=False), kernel=5, size="B")
    assert network.encoder[0][0].depthwise.kernel_size == (1, 5, 5)
    assert network.encoder[2][0].depthwise.kernel_size == (5, 5, 5)
    assert [d.depthwise.stride for d in network.down] == [(1, 2, 2), (2, 2, 2)]
    assert [u.depthwise.stride for u in network.decoder.up] == [(2, 2, 2), (1, 2, 2)]
    assert [s[0].expand.out_channels for s in network.encoder] == [2 * 8, 3 * 16, 4 * 32]
    assert [len(s) for s in network.decoder.stages] == [2, 2]
    (finest, coarser) = network(torch.zeros(1, 2, 4, 9, 8))
    assert finest.shape == (1, 3, 4, 9, 8)
    assert coarser.shape == (1, 3, 4, 5, 4)


def test_a_block_is_its_equation(rank: int) -> None:
    block = MedNeXtBlock(4, conv_op=CONV[rank], kernel_size=[3] * rank, expansion=2).double()
    x = torch.randn(2, 4, *[6] * rank, dtype=torch.float64)
    y = block.depthwise(x)
    axes = tuple(range(2, 2 + rank))
    y = (y - y.mean(axes, keepdim=True)) / (y.var(axes, keepdim=True, unbiased=False) + 1e-5).sqrt()
    y = block.expand(y)
    y = y * 0.5 * (1 + torch.erf(y / 2**0.5))
    assert_close(block(x), x + block.compress(y))


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"no size called 'XL'; known: S, B, M, L"):
        MedNeXt(**arguments(2), size="XL")
    with pytest.raises(ValueError, match="kernel is 7; allowed: 3 or 5"):
        MedNeXt(**arguments(2), kernel=7)
    with pytest.raises(ValueError, match="the first stage has stride"):
        MedNeXt(**arguments(2, strides=[2, 2, 2]))
    assert set(SIZES) == {"S", "B", "M", "L"}
