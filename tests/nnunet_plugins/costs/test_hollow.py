"""Tensors without data behave as torch's own do, and a step counts the same on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from nnunet_plugins.costs import footprint
from nnunet_plugins.costs.budget import topology_for
from nnunet_plugins.costs.footprint import Footprint, live_without_data
from nnunet_plugins.costs.hollow import Hollow, HollowMode
from nnunet_plugins.costs.live_bytes import LiveBytes
from nnunet_plugins.costs.training_step import Setup
from nnunet_plugins.errors import UserError
from nnunet_plugins.networks import NETWORKS

from .real_mode import RealMode

SHAPES = {
    "2d": ((1.0, 1.0), (64, 64)),
    "3d": ((1.0, 1.0, 1.0), (32, 32, 32)),
    "3d-anisotropic": ((4.0, 0.6, 0.6), (12, 48, 64)),
}


@contextmanager
def fake() -> Iterator[LiveBytes]:
    live = LiveBytes()
    with FakeTensorMode(), RealMode(live):
        yield live


def counted(monkeypatch: pytest.MonkeyPatch, mode: Any, setup: Setup, half: bool) -> Footprint:
    monkeypatch.setattr(footprint, "live_without_data", mode)
    return footprint._count(setup, half=half)


def check(monkeypatch: pytest.MonkeyPatch, network: str, shape: str, half: bool) -> None:
    architecture, patch = topology_for(*SHAPES[shape], 16)
    setup = Setup(architecture, patch, 2, 1, 3, network=network)
    try:
        theirs = counted(monkeypatch, fake, setup, half)
    except UserError as error:
        pytest.skip(str(error))
    ours = counted(monkeypatch, live_without_data, setup, half)
    for name in ("parameters", "flops", "weight_bytes", "state_bytes"):
        assert getattr(ours, name) == getattr(theirs, name)
    # FakeTensor keeps the statistics of a norm on fp16 maps in fp16; CUDA and 'meta' keep them in fp32.
    near = 3e-3 if half else 0
    assert ours.peak_bytes == pytest.approx(theirs.peak_bytes, rel=near)
    assert ours.activation_bytes == pytest.approx(theirs.activation_bytes, rel=near)
    # It also copies where a CPU's convolution would leave a map channels-last.
    assert ours.moved_bytes == pytest.approx(theirs.moved_bytes, rel=5e-3)


@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize("network", ["MAGUNet", "AttentionUNet25D"])
def test_a_step_counts_as_on_torchs_fake_tensors(
    monkeypatch: pytest.MonkeyPatch, network: str, half: bool
) -> None:
    check(monkeypatch, network, "2d", half)


@pytest.mark.slow
@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_counts_as_on_torchs_fake_tensors(
    monkeypatch: pytest.MonkeyPatch, network: str, shape: str, half: bool
) -> None:
    check(monkeypatch, network, shape, half)


def test_results_have_the_form_that_real_ones_have() -> None:
    def work(x: torch.Tensor) -> list[torch.Tensor]:
        picked = x[:, 1].transpose(0, 1)
        first, second = x.double().chunk(2, dim=1)
        return [
            picked,
            picked.contiguous(),
            first,
            second,
            x.amax(1, keepdim=True) > 0.5,
            *x.max(1),
        ]

    real = work(torch.rand(2, 4, 6))
    with HollowMode():
        hollow = work(torch.rand(2, 4, 6))
    for one, other in zip(hollow, real, strict=True):
        assert isinstance(one, Hollow)
        assert (one.shape, one.stride(), one.dtype, one.device) == (
            other.shape,
            other.stride(),
            other.dtype,
            other.device,
        )
        assert one.storage_offset() == other.storage_offset()
        assert one.untyped_storage().nbytes() == other.untyped_storage().nbytes()


def test_views_share_their_storage_and_copies_do_not() -> None:
    with HollowMode():
        x = torch.empty(4, 6)
        for view in (x[1:], x.detach(), x.flatten(), x.t()):
            assert view.untyped_storage() is x.untyped_storage()
        for other in (x.clone(), x + 1, x.t().contiguous()):
            assert other.untyped_storage() is not x.untyped_storage()


def test_an_operation_in_place_returns_its_tensor() -> None:
    with HollowMode():
        x = torch.empty(3)
        storage = x.untyped_storage()
        assert x.add_(1) is x
        assert x.untyped_storage() is storage


def test_true_is_not_one() -> None:
    with HollowMode():
        assert torch.full((2,), 1).dtype == torch.int64
        assert torch.full((2,), True).dtype == torch.bool
        assert torch.full((2,), 1.0).dtype == torch.float32


def test_gradients_have_the_form_of_their_weights() -> None:
    with HollowMode():
        conv = torch.nn.Conv2d(1, 3, 3)
        conv(torch.rand(2, 1, 8, 8)).square().mean().backward()
        assert [p.grad.shape for p in conv.parameters()] == [(3, 1, 3, 3), (3,)]


def test_a_form_that_changes_in_place_is_refused() -> None:
    with HollowMode(), pytest.raises(NotImplementedError, match="resize_"):
        torch.empty(3).resize_(5)


def test_there_are_no_values_to_ask_for() -> None:
    with HollowMode(), pytest.raises(RuntimeError, match="meta"):
        torch.ones(1).item()


def test_a_constant_keeps_its_value() -> None:
    with HollowMode():
        constant = torch.tensor(0.5)
        assert isinstance(torch.ones(3) * constant, Hollow)
        assert (2 * constant).item() == 1


def test_outside_of_the_mode_nothing_is_computed() -> None:
    with HollowMode():
        x = torch.empty(3)
    with pytest.raises(RuntimeError, match="outside of HollowMode"):
        x + 1
