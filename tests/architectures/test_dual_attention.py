from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from architectures.blocks.dual_attention import ChannelAttention, DualAttention, PositionAttention

from .conftest import CONV
from .probes import LARGE, all_finite, attended_in, fused


def opened(block: nn.Module) -> nn.Module:
    """The block in float64 with scales other than zero, so that attention has an effect."""
    with torch.no_grad():
        for name, p in block.named_parameters():
            if name.rpartition(".")[2] in ("alpha", "beta", "mix"):
                p.copy_(torch.rand_like(p) + 0.5)
    return block.double()


def test_position_attention_equals_equations_3_to_5(rank: int) -> None:
    block = opened(PositionAttention(4, conv_op=CONV[rank]))
    a = torch.randn(1, 4, *[3] * rank, dtype=torch.float64)
    b, c, d = (p(a)[0].flatten(1) for p in (block.key, block.query, block.value))
    n = 3**rank
    expected = torch.empty(4, n, dtype=torch.float64)
    for j in range(n):
        weights = torch.exp(torch.stack([b[:, i] @ c[:, j] for i in range(n)]))
        weights = weights / weights.sum()
        expected[:, j] = (
            block.alpha * sum(weights[i] * d[:, i] for i in range(n)) + a[0].flatten(1)[:, j]
        )
    assert_close(block(a)[0].flatten(1), expected)


def test_channel_attention_equals_equations_6_to_8(rank: int) -> None:
    block = opened(ChannelAttention())
    a = 0.3 * torch.randn(1, 4, *[3] * rank, dtype=torch.float64)
    flat = a[0].flatten(1)
    expected = torch.empty_like(flat)
    for j in range(4):
        weights = torch.exp(torch.stack([flat[i] @ flat[j] for i in range(4)]))
        weights = weights / weights.sum()
        expected[j] = block.beta * sum(weights[i] * flat[i] for i in range(4)) + flat[j]
    assert_close(block(a)[0].flatten(1), expected)


def test_mix_equals_equations_1_and_2(rank: int) -> None:
    block = opened(DualAttention(4, conv_op=CONV[rank]))
    x = torch.randn(2, 4, *[3] * rank, dtype=torch.float64)
    first, second = torch.exp(block.mix) / torch.exp(block.mix).sum()
    assert_close(block(x), first * block.position(x) + second * block.channel(x))


def test_identity_at_start(rank: int) -> None:
    x = torch.randn(2, 8, *[4] * rank)
    assert_close(DualAttention(8, conv_op=CONV[rank])(x), x)


def test_attention_is_equivariant_to_permutations_of_voxels(rank: int) -> None:
    block = opened(DualAttention(4, conv_op=CONV[rank]))
    x = torch.randn(2, 4, *[3] * rank, dtype=torch.float64)
    order = torch.randperm(3**rank)
    moved = x.flatten(2)[..., order].view_as(x)
    assert_close(block(moved).flatten(2), block(x).flatten(2)[..., order])


def test_every_parameter_learns_within_three_steps(rank: int) -> None:
    block = DualAttention(4, conv_op=CONV[rank])
    before = {k: v.clone() for k, v in block.named_parameters()}
    optimizer = torch.optim.SGD(block.parameters(), 0.1)
    x, target = torch.randn(2, 4, *[3] * rank), torch.randn(2, 4, *[3] * rank)
    for _ in range(3):  # alpha = 0 blocks the gradient in the first step
        optimizer.zero_grad()
        (block(x) - target).square().mean().backward()
        optimizer.step()
    # The key's bias shifts all logits of a softmax equally: it cannot learn.
    still = {k for k, v in block.named_parameters() if torch.equal(v, before[k])}
    assert still <= {"position.key.bias"}


def test_attention_is_really_fused() -> None:
    """N = 6,912 positions: an N x N matrix in fp32 would take 191 MB; the largest map here has 1.8 MB."""
    block = PositionAttention(64, conv_op=nn.Conv3d)
    x = torch.randn(1, 64, 12, 24, 24)
    with (
        torch.profiler.profile(
            activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
        ) as profile,
        torch.no_grad(),
    ):
        block(x)
    largest = max(e.cpu_memory_usage for e in profile.events())
    assert largest < 20e6
    assert any("flash" in e.name for e in profile.events())


def test_fused_kernel_runs_and_is_right(rank: int) -> None:
    block = opened(PositionAttention(16, conv_op=CONV[rank])).float()
    x = torch.randn(1, 16, *LARGE[rank])
    y = fused(block, x)
    b, c, d = (p(x).flatten(2) for p in (block.key, block.query, block.value))
    weights = torch.softmax(torch.einsum("nci,ncj->nij", b, c), 1)
    expected = block.alpha * torch.einsum("nci,nij->ncj", d, weights) + x.flatten(2)
    assert_close(y.flatten(2), expected, rtol=1e-4, atol=1e-4)


def test_position_logits_are_fp32_under_autocast(rank: int) -> None:
    block = PositionAttention(8, conv_op=CONV[rank])
    for dtype in (torch.float16, torch.bfloat16):
        with torch.autocast("cpu", dtype=dtype):
            seen = attended_in(block, torch.randn(1, 8, *[4] * rank))
        assert seen == [torch.float32] * 3


def test_large_values_stay_finite(rank: int) -> None:
    assert all_finite(opened(DualAttention(16, conv_op=CONV[rank])).float(), 2, 16, *[6] * rank)


def test_logits_stay_finite_where_fp16_would_overflow() -> None:
    x = 30 * torch.randn(1, 8, 8, 16, 16)  # rms^2 * N = 1.8e6, far above 65,504
    block = opened(DualAttention(8)).float()
    with torch.autocast("cpu", dtype=torch.float16):
        y = block(x)
    assert torch.isfinite(y).all()
    wide = opened(DualAttention(8))
    wide.load_state_dict(block.state_dict())
    channel_only = wide.channel(x.double())
    assert_close(block.channel(x).double(), channel_only, rtol=1e-4, atol=1e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_fused_attention_on_cuda_takes_little_memory() -> None:
    block = PositionAttention(256).cuda()
    x = torch.randn(1, 256, 12, 32, 32, device="cuda")
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    with torch.no_grad():
        block(x)
    assert torch.cuda.max_memory_allocated() - before < 300e6
