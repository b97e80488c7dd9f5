"""The command `profile`."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from nnunet_plugins.cli import main
from nnunet_plugins.commands.profile import _number as number
from nnunet_plugins.costs.budget import topology_for
from nnunet_plugins.costs.footprint import count
from nnunet_plugins.costs.gpus import GPUS, find_gpu
from nnunet_plugins.costs.profile import Clock, profile, setup_for
from nnunet_plugins.errors import UserError

DATASET = {"labels": {"background": 0, "sacrum": 1}, "channel_names": {"0": "CT"}}


def made(spacing: tuple[float, ...], patch: tuple[int, ...], **more: Any) -> dict[str, Any]:
    architecture, size = topology_for(spacing, patch, 8)
    return {"architecture": architecture, "patch_size": size, "batch_size": 2, **more}


PLANS: dict[str, Any] = {
    "plans_name": "nnUNetPlans",
    "dataset_name": "Dataset001_A",
    "configurations": {
        "2d": made((1.0, 1.0), (64, 64), training={"epochs": 10, "iterations_per_epoch": 60}),
        "3d_fullres": made((4.0, 1.0, 1.0), (8, 32, 32)),
        "quarter": {"inherits_from": "2d", "batch_size": 1},
    },
}


@pytest.fixture
def plans(tmp_path: Path) -> Path:
    (tmp_path / "dataset.json").write_text(json.dumps(DATASET))
    path = tmp_path / "nnUNetPlans.json"
    path.write_text(json.dumps(PLANS))
    return path


@pytest.mark.integration
def test_hours_are_the_planned_epochs() -> None:
    clock = Clock("A100", GPUS["A100"])
    (row,) = profile(PLANS, DATASET, clock, configurations=["2d"])
    steps = 10 * (60 + 50 / 3)
    assert row.seconds is not None
    assert row.hours == pytest.approx(steps * row.seconds / 3600)
    assert row.seconds_from == "estimated for A100"


def test_a_configuration_that_inherits_is_resolved() -> None:
    _, parent = setup_for(PLANS, "2d", DATASET)
    _, quarter = setup_for(PLANS, "quarter", DATASET)
    assert (parent.batch, quarter.batch) == (2, 1)
    assert parent.architecture == quarter.architecture


def test_another_network_uses_the_topology_only() -> None:
    _, own = setup_for(PLANS, "2d", DATASET)
    name, setup = setup_for(PLANS, "2d", DATASET, "SEUNet")
    assert name == "SEUNet"
    assert count(setup).parameters > count(own).parameters
    planned = {**PLANS["configurations"]["2d"]}
    planned["architecture"] = {
        **planned["architecture"],
        "network_class_name": "nnunet_plugins.networks.MAGUNet",
        "arch_kwargs": {**planned["architecture"]["arch_kwargs"], "skip_kwargs": {"group": 4}},
    }
    _, again = setup_for({**PLANS, "configurations": {"2d": planned}}, "2d", DATASET, "SEUNet")
    assert count(again) == count(setup)


def test_step_time_on_a_gpu_is_bound_by_bandwidth() -> None:
    cost = count(setup_for(PLANS, "2d", DATASET)[1])
    slow, fast = find_gpu("T4"), find_gpu("H100")
    assert slow.seconds(cost) / fast.seconds(cost) == pytest.approx(3350 / 320)
    with pytest.raises(
        UserError, match="no GPU called 'RTX3080'; known, the nearest first: RTX3090"
    ):
        find_gpu("RTX3080")


def test_table_and_json_agree(plans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["profile", str(plans), "--network", "ModularUNet", "DeepLabV3", "--gpu", "RTX3090"]
    assert main([*command, "-c", "3d_fullres"]) == 0
    table = capsys.readouterr().out
    assert "3d_fullres: patch 8x32x32, batch 2" in table
    assert "DeepLabV3: the plan is 3D; this network is 2D only" in table
    assert main([*command, "-c", "3d_fullres", "--json"]) == 0
    unet, deeplab = json.loads(capsys.readouterr().out)
    assert f"{unet['footprint']['parameters'] / 1e6:.2f}" in table
    assert deeplab["footprint"] is None
    assert max(map(len, table.splitlines())) <= 100


@pytest.mark.parametrize(("change", "message"), [
    ({"configurations": None}, "'configurations' or 'plans_name' is missing"),
    ({"plans_name": None}, "'configurations' or 'plans_name' is missing"),
])  # fmt: skip
def test_files_that_are_not_plans_are_reported(
    plans: Path, change: dict, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    content = {k: v for k, v in {**PLANS, **change}.items() if v is not None}
    plans.write_text(json.dumps(content))
    assert main(["profile", str(plans)]) == 2
    assert message in capsys.readouterr().err


def test_plans_without_their_dataset(plans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plans.with_name("dataset.json").unlink()
    assert main(["profile", str(plans)]) == 2
    assert "no dataset.json next to it" in capsys.readouterr().err


def test_an_unknown_configuration_is_reported(
    plans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["profile", str(plans), "-c", "3d_lowres"]) == 2
    assert "-c 3d_lowres: plans nnUNetPlans have 2d, 3d_fullres, quarter" in capsys.readouterr().err


@pytest.mark.integration
def test_real_steps_are_timed(plans: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", str(plans), "-c", "quarter", "--measure", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["seconds"] > 0
    assert row["seconds_from"].startswith("measured on")


def test_insufficient_gpu_memory_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> float:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr("nnunet_plugins.costs.profile._measured", full)
    (row,) = profile(PLANS, DATASET, Clock("Some GPU"), configurations=["2d"])
    assert row.footprint is None
    assert "Some GPU has not enough memory for a step" in row.problem


def test_one_unsupported_patch_does_not_stop_the_others(
    plans: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads(plans.read_text())
    content["configurations"]["2d"]["patch_size"] = [63, 62]
    plans.write_text(json.dumps(content))
    assert main(["profile", str(plans), "-c", "2d", "3d_fullres", "--json"]) == 0
    bad, good = json.loads(capsys.readouterr().out)
    assert "not as nnU-Net writes them (RuntimeError: Sizes of tensors" in bad["problem"]
    assert good["footprint"]["peak_bytes"] > 0


def test_a_missing_package_is_not_reported_as_a_fault_of_the_plans(
    plans: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(self: Any, **_: Any) -> None:
        raise ModuleNotFoundError("No module named 'monai'")

    monkeypatch.setattr("nnunet_plugins.costs.training_step.Setup.build", missing)
    assert main(["profile", str(plans), "-c", "quarter", "--network", "VNet"]) == 2
    output = capsys.readouterr().err
    assert "No module named 'monai'; `pip install" in output
    assert "not as nnU-Net writes them" not in output


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c, d: c["2d"].pop("architecture"), "plans nnUNetPlans, 2d: plans or dataset.json are not"),
        (
            lambda c, d: c["2d"]["architecture"].pop("_kw_requires_import"),
            "2d: _kw_requires_import is None; expected a list",
        ),
        (lambda c, d: d.pop("labels"), "(KeyError: 'labels')"),
        (lambda c, d: d.update(channel_names=3), "(TypeError: "),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["profile", "draw"])
def test_malformed_plans_are_reported_in_one_line(
    plans: Path, capsys: pytest.CaptureFixture[str], command: str, change: Any, words: str
) -> None:
    content, dataset = json.loads(plans.read_text()), copy.deepcopy(DATASET)
    change(content["configurations"], dataset)
    plans.write_text(json.dumps(content))
    plans.with_name("dataset.json").write_text(json.dumps(dataset))
    status = main([command, str(plans), "-c", "2d"])
    output = capsys.readouterr()
    assert words in " ".join((output.out + output.err).split())
    assert status == 2 or (command == "profile" and "not possible" in output.out)


def test_importing_the_costs_loads_no_optional_package() -> None:
    code = "import sys, nnunet_plugins.costs.profile; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    assert "torch" in done.stdout.split()
    assert not {"torch._dynamo", "torchvision", "monai"} & set(done.stdout.split())


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [(1.234, 2, "1.23"), (0.002, 2, "0.002"), (0.0000123, 1, "0.00001"), (0.0, 1, "0.0")],
)
def test_small_numbers_keep_a_digit(value: float, digits: int, shown: str) -> None:
    assert number(value, digits) == shown
