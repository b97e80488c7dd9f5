"""The counter of live bytes, on sums that can be done by hand."""

from __future__ import annotations

import torch

from nnunet_plugins.costs.footprint import live_without_data
from nnunet_plugins.costs.hollow import Hollow
from nnunet_plugins.costs.live_bytes import BLOCK

KB = 1024


def test_a_tensor_counts_until_it_is_freed() -> None:
    with live_without_data() as live:
        x = torch.empty(KB)  # 4 bytes each
        assert live.now == 4 * KB
        y = x + 1
        assert live.now == 8 * KB
        del x, y
        assert live.now == 0
        assert live.peak == 8 * KB


def test_views_and_work_in_place_take_nothing() -> None:
    with live_without_data() as live:
        x = torch.zeros(KB)
        x.view(2, -1).add_(1).relu_()
        assert live.peak == 4 * KB


def test_sizes_are_rounded_up_to_the_allocators_block() -> None:
    with live_without_data() as live:
        x = torch.empty(1)
        assert live.now == BLOCK
        del x


def test_autograd_keeps_what_the_backward_pass_needs() -> None:
    with live_without_data() as live:
        x = torch.ones(KB, requires_grad=True)
        before = live.now
        y = x.exp()  # its own result is kept
        z = y.sigmoid().sum()
        del y
        held = live.now - before
        z.backward()
        del z
        assert held == 2 * 4 * KB + BLOCK
        assert live.now - before == 4 * KB  # the gradient


def test_operations_are_counted_as_by_hand() -> None:
    with live_without_data() as live:
        conv = torch.nn.Conv3d(3, 5, 3, padding=1)
        x = torch.rand(2, 3, 4, 6, 8)
        live.moved = 0
        y = conv(x)
    assert live.flops == 2 * 3 * 5 * 27 * 2 * 4 * 6 * 8
    given = [x, *conv.parameters()]
    assert live.moved == sum(t.nbytes for t in [*given, y])


def test_constants_with_data_count_too() -> None:
    with live_without_data() as live:
        constant = torch.tensor([0.5] * KB)
        doubled = constant * 2
        assert not isinstance(doubled, Hollow)
        assert live.now >= 4 * KB


def test_tensors_without_data_count_as_if_they_had_some() -> None:
    with live_without_data() as live:
        x = torch.empty(1 << 40, dtype=torch.float16)
        assert live.now == 2 << 40
        del x
        assert live.now == 0
