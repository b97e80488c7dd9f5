"""Live bytes and operations against sums that can be done by hand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from nnunet_plugins.costs.live_bytes import BLOCK, LiveBytes

KB = 1024


@pytest.fixture(params=["real", "fake"])
def live(request: pytest.FixtureRequest) -> Iterator[LiveBytes]:
    if request.param == "real":
        with LiveBytes() as counter:
            yield counter
    else:
        with FakeTensorMode(), LiveBytes() as counter:
            yield counter


def test_a_tensor_counts_until_it_is_freed(live: LiveBytes) -> None:
    x = torch.empty(KB)  # 4 bytes each
    assert live.now == 4 * KB
    y = x + 1
    assert live.now == 8 * KB
    del x, y
    assert live.now == 0
    assert live.peak == 8 * KB


def test_views_and_in_place_operations_take_nothing(live: LiveBytes) -> None:
    x = torch.zeros(KB)
    x.view(2, -1).add_(1).relu_()
    assert live.peak == 4 * KB


def test_sizes_are_rounded_up_to_the_allocators_block(live: LiveBytes) -> None:
    x = torch.empty(1)
    assert live.now == BLOCK
    del x


def test_autograd_keeps_what_the_backward_pass_needs(live: LiveBytes) -> None:
    x = torch.ones(KB, requires_grad=True)
    before = live.now
    y = x.exp()  # keeps its own result
    z = y.sigmoid().sum()
    del y
    held = live.now - before
    z.backward()
    del z
    assert held == 2 * 4 * KB + BLOCK
    assert live.now - before == 4 * KB  # the gradient


def test_operations_are_counted_as_by_hand(live: LiveBytes) -> None:
    conv = torch.nn.Conv3d(3, 5, 3, padding=1)
    x = torch.rand(2, 3, 4, 6, 8)
    live.reset()
    y = conv(x)
    assert live.flops == 2 * 3 * 5 * 27 * 2 * 4 * 6 * 8
    assert live.moved == sum(t.nbytes for t in [x, *conv.parameters(), y])


def test_constants_count_too(live: LiveBytes) -> None:
    constant = torch.tensor([0.5] * KB)
    assert live.now >= 4 * KB
    del constant


def test_the_gradient_of_a_slice_is_copied_once(live: LiveBytes) -> None:
    x = torch.zeros(2, 4, KB, requires_grad=True)
    total = x[:, 1:].sum()
    live.reset()
    total.backward()
    incoming, gradient = 2 * 3 * KB * 4, x.nbytes
    assert live.moved == pytest.approx(incoming + gradient, abs=BLOCK)


def test_fake_tensors_need_no_memory() -> None:
    with FakeTensorMode(), LiveBytes() as live:
        x = torch.empty(1 << 40, dtype=torch.float16)
        assert live.now == 2 << 40
        del x
        assert live.now == 0
