"""Plans for nnU-Net's own networks are those of nnU-Net's planners; rows on other plans are its networks too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_plugins.errors import UserError
from nnunet_plugins.networks import build, public_name
from nnunet_plugins.planners import planning
from nnunet_plugins.planners.nnunet_planner import PLANNERS, memory_of
from nnunet_plugins.planners.planning import Request
from tests.nnunet_plugins import tiny
from tests.nnunet_plugins.planners.test_planning_all import replaced

SMALL = ((16, 48, 40), (3.0, 1.0, 1.0))
MEMORY = {"nnUNetPlain": 8, "ResEncM": 8, "ResEncL": 24, "ResEncXL": 40}
#: Entries in which our plans differ from nnU-Net's.
OURS = ("network_class_name", "data_identifier", "memory", "training")


@pytest.fixture(scope="module")
def dataset(nnunet: Path) -> Path:
    name, _ = tiny.write_raw("labels", 753)
    return nnunet / "nnUNet_preprocessed" / name


def planned(dataset: Path, network: str, shape: Any = SMALL, **options: Any) -> dict[str, Any]:
    with replaced(dataset, *shape):
        path = planning.plan(Request("753", network, force=True, **options))
    return json.loads(path.read_text())


def without_ours(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    return {k: without_ours(v) for k, v in entry.items() if k not in OURS}


def check(dataset: Path, network: str, shape: Any) -> None:
    ours = planned(dataset, network, shape)
    with replaced(dataset, *shape):
        own = PLANNERS[network](dataset.name, plans_name="Own")
        own.plan_experiment()
    theirs = json.loads((dataset / "Own.json").read_text())
    assert without_ours(ours["configurations"]) == without_ours(theirs["configurations"])
    assert ours["experiment_planner_used"] == theirs["experiment_planner_used"]
    for name, entry in ours["configurations"].items():
        if "inherits_from" in entry:
            continue
        assert entry["architecture"]["network_class_name"] == public_name(network)
        assert entry["data_identifier"] == f"{network}Plans_{name}"
        assert entry["memory"]["target_gb"] == MEMORY[network] == memory_of(network)
        with torch.device("meta"):
            made = [
                build("ModularUNet", entry["architecture"], 1, 3, True, entry["patch_size"]),
                _own(theirs, name),
            ]
        keys = [{k: tuple(v.shape) for k, v in one.state_dict().items()} for one in made]
        assert keys[0] == keys[1]


def _own(plans: dict[str, Any], configuration: str) -> Any:
    """The network that nnUNetTrainer builds from nnU-Net's plans."""
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    manager = PlansManager(plans)
    return nnUNetTrainer.build_network_architecture(
        manager, manager.get_configuration(configuration), 1, 3, True
    )


@pytest.mark.parametrize("network", PLANNERS)
def test_the_plan_is_nnunets_own(dataset: Path, network: str) -> None:
    check(dataset, network, SMALL)


@pytest.mark.integration
@pytest.mark.parametrize("network", ["nnUNetPlain", "ResEncM"])
def test_the_plan_of_large_images_is_nnunets_own(dataset: Path, network: str) -> None:
    check(dataset, network, ((120, 280, 300), (1.0, 0.8, 0.8)))


def test_procedure_batch_and_small_preset_are_taken(dataset: Path) -> None:
    plans = planned(
        dataset, "ResEncM", preset="cpu", batch_size=3, training={"epochs": 7, "seed": 1}
    )
    entry = plans["configurations"]["3d_fullres"]
    assert plans["plans_name"] == "ResEncMPlansCPU"
    assert entry["batch_size"] == 3
    assert entry["training"]["epochs"] == 7
    assert entry["training"]["seed"] == 1
    assert entry["architecture"]["arch_kwargs"]["features_per_stage"][0] == 8
    assert entry["architecture"]["arch_kwargs"]["n_blocks_per_stage"][:3] == [1, 3, 4]
    assert entry["memory"]["target_gb"] == 0.25


@pytest.mark.parametrize(
    "options", [{"preset": "M"}, {"encoder": "residual"}, {"encoder": "plain", "preset": "cpu"}]
)
def test_options_that_change_its_encoder_are_refused(dataset: Path, options: Any) -> None:
    with pytest.raises(UserError, match="ResEncM is planned as nnU-Net plans it; omit the option"):
        planned(dataset, "ResEncM", **options)


def test_too_little_memory_is_an_error(dataset: Path) -> None:
    with pytest.raises(UserError, match="too little for any patch"):
        planned(dataset, "nnUNetPlain", gpu_memory=1e-4)
