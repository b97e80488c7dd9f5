from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from architectures.blocks.transformer import TransformerLayer

from .probes import LARGE, all_finite, at_rest, fused, kept, scrambled


def layer_norm(x: torch.Tensor, norm: nn.LayerNorm) -> torch.Tensor:
    centred = x - x.mean(-1, keepdim=True)
    deviation = torch.sqrt(centred.square().mean(-1, keepdim=True) + norm.eps)
    return centred / deviation * norm.weight + norm.bias


def gelu(x: torch.Tensor) -> torch.Tensor:
    return x * (1 + torch.erf(x / 2**0.5)) / 2


def written_out(tokens: torch.Tensor, layer: nn.Module, heads: int) -> torch.Tensor:
    """One layer for tokens (B, N, C), head by head with all N x N weights."""
    x = layer_norm(tokens, layer.attention_norm)
    width = layer.merge.in_features // heads
    weight, bias = layer.project.weight.chunk(3), layer.project.bias.chunk(3)
    gathered = []
    for h in range(heads):
        own = slice(h * width, (h + 1) * width)
        q, k, v = (
            torch.einsum("bnc,oc->bno", x, w[own]) + b[own]
            for w, b in zip(weight, bias, strict=True)
        )
        weights = torch.exp(torch.einsum("bjo,bio->bji", q, k) / width**0.5)
        gathered.append(torch.einsum("bji,bio->bjo", weights / weights.sum(-1, keepdim=True), v))
    y = tokens + torch.cat(gathered, -1) @ layer.merge.weight.T + layer.merge.bias
    first, second = layer.feed_forward[0], layer.feed_forward[2]
    inner = gelu(layer_norm(y, layer.forward_norm) @ first.weight.T + first.bias)
    return y + inner @ second.weight.T + second.bias


@pytest.mark.parametrize("head_dim", [None, 3])
def test_equals_the_equations(rank: int, head_dim: int | None) -> None:
    block = scrambled(TransformerLayer(4, heads=2, head_dim=head_dim, hidden=5, depth=2))
    x = torch.randn(2, 4, *[3, 2, 3][:rank], dtype=torch.float64)
    tokens = x.flatten(2).mT
    for layer in block.layers:
        tokens = written_out(tokens, layer, 2)
    assert_close(block(x), tokens.mT.reshape(x.shape))
    assert block(x).is_contiguous()


def test_it_is_equivariant_to_permutations_of_voxels(rank: int) -> None:
    block = TransformerLayer(8, heads=2).double()
    x = torch.randn(2, 8, *[3] * rank, dtype=torch.float64)
    order = torch.randperm(3**rank)
    moved = x.flatten(2)[..., order].view_as(x)
    assert_close(block(moved).flatten(2), block(x).flatten(2)[..., order])


def test_fused_kernel_runs_and_is_right(rank: int) -> None:
    block = TransformerLayer(16, heads=2)
    x = torch.randn(1, 16, *LARGE[rank])
    y = fused(block, x)
    expected = written_out(x.flatten(2).mT, block.layers[0], 2)
    assert_close(y.flatten(2), expected.mT, rtol=1e-4, atol=1e-4)


def test_it_has_as_many_parameters_as_a_keras_layer() -> None:
    """Four biased projections of width 512, two layer norms, 1024 -> 128 -> 1024."""
    with torch.device("meta"):
        block = TransformerLayer(1024, heads=8, head_dim=64, hidden=128)
    attention = 3 * (1024 * 512 + 512) + 512 * 1024 + 1024
    forward = 1024 * 128 + 128 + 128 * 1024 + 1024
    assert sum(p.numel() for p in block.parameters()) == attention + forward + 2 * 2 * 1024


def test_a_transunet_has_the_parameters_printed_in_silveira2025() -> None:
    """silveira2025-inception-dual, Table 8: 23,979,010 parameters, 9,728 of them running statistics."""

    def convolutions(*widths: int) -> list[nn.Module]:
        pairs = itertools.pairwise(widths)
        return [m for i, o in pairs for m in (nn.Conv2d(i, o, 3), nn.BatchNorm2d(o))]

    with torch.device("meta"):
        parts = [TransformerLayer(1024, heads=8, head_dim=64, hidden=128), nn.Conv2d(64, 2, 1)]
        parts += convolutions(512, 1024)
        for before, width in zip((1, 64, 128, 256), (64, 128, 256, 512), strict=True):
            parts += convolutions(before, width, width)
            parts += [
                nn.ConvTranspose2d(2 * width, width, 2),
                *convolutions(2 * width, width, width),
            ]
        network = nn.Sequential(*parts)
    trainable = sum(p.numel() for p in network.parameters())
    running = sum(b.numel() for name, b in network.named_buffers() if "running" in name)
    assert (trainable, running) == (23_969_282, 9_728)


def test_defaults() -> None:
    block = TransformerLayer(32)
    assert (block.layers[0].heads, block.inside, block.hidden) == (8, 32, 128)
    assert len(TransformerLayer(32, depth=3).layers) == 3


def test_every_parameter_learns(rank: int) -> None:
    block = TransformerLayer(8, heads=2, depth=2)
    assert at_rest(block, torch.randn(2, 8, *[4] * rank)) == set()


def test_maps_kept(rank: int) -> None:
    block = TransformerLayer(16, heads=2, head_dim=4, hidden=24, depth=2)
    size = [8] * rank
    ratio = kept(block, torch.randn(1, 16, *size)) / block.compute_conv_feature_map_size(size)
    assert 0.9 < ratio < 1.1


def test_large_values_stay_finite(rank: int) -> None:
    assert all_finite(TransformerLayer(16, heads=2), 2, 16, *[6] * rank)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match=r"8 heads do not divide 12 channels; .*give head_dim"):
        TransformerLayer(12)
    assert TransformerLayer(12, head_dim=4).inside == 32
    for name in ("heads", "head_dim", "hidden", "depth"):
        with pytest.raises(
            ValueError, match=f"TransformerLayer: {name} is 0; it must be 1 or more"
        ):
            TransformerLayer(8, **{name: 0})
