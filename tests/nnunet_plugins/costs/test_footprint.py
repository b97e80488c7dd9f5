"""What is counted without data against what a step on the CPU really allocates."""

from __future__ import annotations

import gc
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from nnunet_plugins.costs import budget as budget_module
from nnunet_plugins.costs import footprint as footprint_module
from nnunet_plugins.costs.budget import (
    Calibration,
    budget,
    calibrate,
    needed_gigabytes,
    reference,
    topology_for,
)
from nnunet_plugins.costs.footprint import count, count_ahead
from nnunet_plugins.costs.measured import measure_peak
from nnunet_plugins.costs.training_step import Setup
from nnunet_plugins.errors import UserError

CPU = torch.device("cpu")
OURS = ("MAGUNet", "ASPPUNet", "InceptionDualUNet", "AttentionUNet25D")
#: Voxels' size in mm and patch, shaped like pelvis CT, SPIDER and CSIG.
SHAPES = {
    "CT": ((1.0, 1.0, 1.0), (32, 32, 32)),
    "SPIDER": ((4.0, 0.6, 0.6), (12, 48, 64)),
    "CSIG": ((4.4, 0.34, 0.34), (8, 64, 64)),
    "CT 2D": ((1.0, 1.0), (96, 96)),
    "SPIDER 2D": ((0.6, 0.6), (96, 128)),
    "CSIG 2D": ((0.34, 0.34), (128, 128)),
}


def setup_for(shape: str, network: str, **options: object) -> Setup:
    spacing, patch = SHAPES[shape]
    architecture, size = topology_for(spacing, patch, 16)
    given = {"channels": 1, "outputs": 3, **options}
    return Setup(architecture, size, 2, network=network, **given)  # type: ignore[arg-type]


def check(setup: Setup) -> None:
    counted = count(setup, half=False).peak_bytes
    assert measure_peak(setup, CPU, half=False) == pytest.approx(counted, rel=0.1)


@pytest.mark.parametrize("network", OURS)
@pytest.mark.parametrize("shape", ["SPIDER", "CT 2D"])
def test_the_peak_is_within_ten_percent_of_a_real_step(shape: str, network: str) -> None:
    check(setup_for(shape, network))


@pytest.mark.slow
@pytest.mark.parametrize("network", OURS)
@pytest.mark.parametrize("shape", ["CT", "CSIG", "SPIDER 2D", "CSIG 2D"])
def test_the_peak_is_within_ten_percent_on_every_shape(shape: str, network: str) -> None:
    check(setup_for(shape, network))


@pytest.mark.parametrize("training", [
    {"optimizer": "Adam"},
    {"optimizer": "AdamW", "loss": {"dice": 1, "focal": {"weight": 1, "alpha": 0.5, "gamma": 2}}},
    {"momentum": 0.0, "loss": {"ce": 1}},
    {"deep_supervision": False},
])  # fmt: skip
def test_the_procedure_is_counted_too(training: dict) -> None:
    check(setup_for("CT 2D", "SEUNet", training=training))


@pytest.mark.parametrize("labels", [
    {"regions": True}, {"ignore_label": 3}, {"regions": True, "ignore_label": 3},
])  # fmt: skip
def test_regions_and_ignore_label_are_counted_too(labels: dict) -> None:
    check(setup_for("CT 2D", "SEUNet", **labels))


def test_state_of_the_optimiser_is_one_or_two_weights() -> None:
    def state(**training: object) -> float:
        cost = count(setup_for("CT 2D", "SEUNet", training=training))
        return cost.state_bytes / (4 * cost.parameters)

    assert state() == 1
    assert state(momentum=0.0) == 0
    assert state(optimizer="Adam") == 2


def test_half_precision_halves_the_maps_and_nothing_else() -> None:
    setup = setup_for("CT", "ModularUNet")
    whole, half = count(setup, half=False), count(setup)
    assert half.activation_bytes < 0.62 * whole.activation_bytes
    assert half.flops == whole.flops
    assert half.parameters == sum(p.numel() for p in setup.build().parameters())


def test_counts_do_not_hang_on_the_collector_of_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    setup = setup_for("CT 2D", "MAGUNet")
    off = footprint_module._count(setup, half=True)
    assert gc.isenabled()
    monkeypatch.setattr(footprint_module, "collector_off", nullcontext)
    thresholds = gc.get_threshold()
    gc.set_threshold(50, 2, 2)
    try:
        assert footprint_module._count(setup, half=True) == off
    finally:
        gc.set_threshold(*thresholds)


def count_several_ahead() -> None:
    """Ahead, then one by one; in a process of its own, as others' backward passes make torch refuse forks."""
    setups = [setup_for("CT 2D", network) for network in OURS[:2]]
    wrong = replace(setups[0], network="DeepLabV3", patch=(96, 96, 96))
    count_ahead([*setups, wrong])
    ahead = list(footprint_module._COUNTED.values())
    footprint_module._COUNTED.clear()
    assert ahead == [count(setup) for setup in setups]
    with pytest.raises(UserError, match="DeepLabV3"):
        count(wrong)


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
def test_counts_made_ahead_are_the_same_and_failures_are_left_to_who_asks() -> None:
    code = f"import runpy; runpy.run_path({__file__!r})['count_several_ahead']()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
def test_where_no_process_can_be_made_nothing_is_counted_ahead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(footprint_module, "ProcessPoolExecutor", refuse)
    setup = setup_for("CT 2D", "SEUNet", channels=3)
    count_ahead([setup, replace(setup, batch=3)])
    assert (repr(setup), True) not in footprint_module._COUNTED


def test_batches_grow_by_a_constant() -> None:
    setup = setup_for("CT", "MAGUNet")
    peaks = [count(replace(setup, batch=n)).peak_bytes for n in (8, 9, 10)]
    assert peaks[2] - peaks[1] == pytest.approx(peaks[1] - peaks[0], rel=0.01)


def test_the_budget_is_linear_and_its_own_reference_fits() -> None:
    for rank in (2, 3):
        assert budget(rank, 16) == pytest.approx(2 * budget(rank, 8))
        peak = count(reference(rank)).peak_bytes
        assert 4 < needed_gigabytes(rank, peak) <= 8


def test_a_card_gives_the_scale_and_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = count(reference(3)).peak_bytes
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some Card")
    monkeypatch.setattr(budget_module, "measure_peak", lambda *_, **__: 1.25 * counted)
    calibrate.cache_clear()
    try:
        assert calibrate(3) == Calibration(pytest.approx(1.25), "measured on Some Card")
    finally:
        calibrate.cache_clear()


def test_a_card_without_room_for_the_reference_is_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> int:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(budget_module, "measure_peak", full)
    calibrate.cache_clear()
    try:
        assert calibrate(2) == Calibration()
    finally:
        calibrate.cache_clear()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("network", OURS)
def test_the_peak_is_within_ten_percent_on_cuda(network: str) -> None:
    setup = setup_for("CT", network)
    counted = count(setup).peak_bytes
    assert measure_peak(setup, torch.device("cuda"), half=True) == pytest.approx(counted, rel=0.1)
