"""Counts of a training step: repeatable, and within 10 % of what a step on the CPU allocates."""

from __future__ import annotations

import gc
import subprocess
import sys
from dataclasses import asdict, replace

import pytest
import torch

from nnunet_plugins.costs import budget as budget_module
from nnunet_plugins.costs.budget import (
    Calibration,
    budget,
    calibrate,
    needed_gigabytes,
    reference,
    topology_for,
)
from nnunet_plugins.costs.footprint import _count, count
from nnunet_plugins.costs.measured import measure_peak
from nnunet_plugins.costs.training_step import Setup
from nnunet_plugins.errors import UserError
from nnunet_plugins.networks import NETWORKS

CPU = torch.device("cpu")
OURS = ("MAGUNet", "ASPPUNet", "InceptionDualUNet", "AttentionUNet25D")
#: Voxel size in mm and patch, shaped like pelvis CT, SPIDER and CSIG.
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


@pytest.mark.parametrize("network", ["MAGUNet", "AttentionUNet25D"])
@pytest.mark.parametrize("shape", ["CT 2D"])
def test_the_peak_is_within_ten_percent_of_a_real_step(shape: str, network: str) -> None:
    check(setup_for(shape, network))


@pytest.mark.integration
@pytest.mark.parametrize("network", OURS)
@pytest.mark.parametrize("shape", ["CT", "CT 2D", "SPIDER", "SPIDER 2D", "CSIG", "CSIG 2D"])
def test_the_peak_is_within_ten_percent_on_every_shape(shape: str, network: str) -> None:
    check(setup_for(shape, network))


@pytest.mark.parametrize("training", [
    {"optimizer": "Adam"},
    {"optimizer": "AdamW", "loss": {"dice": 1, "focal": {"weight": 1, "alpha": 0.5, "gamma": 2}}},
    {"momentum": 0.0, "loss": {"ce": 1}},
    {"deep_supervision": False},
])  # fmt: skip
def test_the_training_procedure_is_counted_too(training: dict) -> None:
    check(setup_for("CT 2D", "SEUNet", training=training))


@pytest.mark.parametrize("labels", [
    {"regions": True}, {"ignore_label": 3}, {"regions": True, "ignore_label": 3},
])  # fmt: skip
def test_regions_and_ignore_label_are_counted_too(labels: dict) -> None:
    check(setup_for("CT 2D", "SEUNet", **labels))


def test_the_optimizer_state_is_zero_to_two_copies_of_the_weights() -> None:
    def state(**training: object) -> float:
        cost = count(setup_for("CT 2D", "SEUNet", training=training))
        return cost.state_bytes / (4 * cost.parameters)

    assert state() == 1
    assert state(momentum=0.0) == 0
    assert state(optimizer="Adam") == 2


def test_half_precision_halves_the_feature_maps_only() -> None:
    setup = setup_for("CT", "ModularUNet")
    single, half = count(setup, half=False), count(setup)
    assert half.activation_bytes < 0.62 * single.activation_bytes
    assert half.flops == single.flops
    assert half.parameters == sum(p.numel() for p in setup.build().parameters())


#: Attributes of MAGUNet's footprint on "CT 2D" under fp16 autocast, for every supported version of torch.
PINNED = {
    "parameters": 2191764,
    "flops": 5640800256,
    "moved_bytes": 238752392,
    "weight_bytes": 8767056,
    "state_bytes": 8767056,
    "activation_bytes": 20202304,
    "peak_bytes": 39095888,
}


def test_the_count_depends_neither_on_torchs_version_nor_on_earlier_counts() -> None:
    setup = setup_for("CT 2D", "MAGUNet")
    assert asdict(_count(setup, half=True)) == PINNED
    _count(setup_for("CT 2D", "SEUNet"), half=True)
    assert asdict(_count(setup, half=True)) == PINNED


def test_the_count_does_not_depend_on_garbage_collection() -> None:
    setup = setup_for("CT 2D", "MAGUNet")
    thresholds = gc.get_threshold()
    gc.disable()
    try:
        assert asdict(_count(setup, half=True)) == PINNED
        gc.enable()
        gc.set_threshold(2000, 2, 2)
        assert asdict(_count(setup, half=True)) == PINNED
    finally:
        gc.enable()
        gc.set_threshold(*thresholds)


@pytest.mark.integration
@pytest.mark.parametrize("collect", [True, False])
def test_the_first_count_of_a_process_is_like_any_other(collect: bool) -> None:
    code = (
        f"import gc, runpy; {'' if collect else 'gc.disable();'} t = runpy.run_path({__file__!r}); "
    )
    code += "assert t['asdict'](t['count'](t['setup_for']('CT 2D', 'MAGUNet'))) == t['PINNED']"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


@pytest.mark.integration
@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("network", NETWORKS)
def test_repeated_counts_of_every_network_are_equal(network: str, rank: int) -> None:
    setup = setup_for("CT 2D" if rank == 2 else "CT", network)
    try:
        first = _count(setup, half=True)
    except UserError as error:
        pytest.skip(str(error))
    assert _count(setup, half=True) == first


@pytest.mark.integration
def test_the_peak_grows_linearly_with_the_batch() -> None:
    setup = setup_for("CT", "MAGUNet")
    peaks = [count(replace(setup, batch=n)).peak_bytes for n in (8, 9, 10)]
    assert peaks[2] - peaks[1] == pytest.approx(peaks[1] - peaks[0], rel=0.01)


@pytest.mark.integration
def test_the_budget_is_linear_and_the_reference_fits() -> None:
    for rank in (2, 3):
        assert budget(rank, 16) == pytest.approx(2 * budget(rank, 8))
        peak = count(reference(rank)).peak_bytes
        assert 4 < needed_gigabytes(rank, peak) <= 8


def test_a_gpu_calibrates_the_count(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = count(reference(3)).peak_bytes
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some GPU")
    monkeypatch.setattr(budget_module, "measure_peak", lambda *_, **__: 1.25 * counted)
    calibrate.cache_clear()
    try:
        assert calibrate(3) == Calibration(pytest.approx(1.25), "measured on Some GPU")
    finally:
        calibrate.cache_clear()


def test_without_memory_for_the_reference_nothing_is_calibrated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object, **__: object) -> int:
        raise torch.OutOfMemoryError("out of memory")

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
