"""The papers' training recipes are valid procedures with the printed steps and losses."""

from __future__ import annotations

import json

import pytest

from nnunet_plugins.papers.library import RECIPES
from nnunet_plugins.planners.presets import PRESETS
from nnunet_plugins.training.procedure import read_procedure

PROCEDURES = {name: recipe.training for name, recipe in RECIPES.items()}
PROCEDURES |= {f"preset {n}": preset.training for n, preset in PRESETS.items() if preset.training}


@pytest.mark.parametrize("name", PROCEDURES)
def test_recipes_and_presets_are_valid_and_survive_json(name: str) -> None:
    entry = json.loads(json.dumps(PROCEDURES[name]))
    assert entry
    assert read_procedure({"training": entry}) == PROCEDURES[name]


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", RECIPES)
def test_a_preset_may_replace_entries_of_any_recipe(name: str, preset: str) -> None:
    read_procedure({"training": RECIPES[name].training | PRESETS[preset].training})


@pytest.mark.parametrize("schedule", ["poly", "constant"])
def test_a_decay_factor_may_remain_when_the_schedule_is_replaced(schedule: str) -> None:
    entry = RECIPES["ASPPUNet"].training | {"lr_schedule": schedule, "optimizer": "Adam"}
    assert read_procedure({"training": entry})["lr_decay"] == 0.99


#: Network -> (epochs, batch size, optimizer, learning rate of the first epoch, that of the last epoch).
PRINTED = {
    "SEUNet": (300, 1, "Adam", 1e-4, 1e-4),
    "MAGUNet": (300, 1, "Adam", 1e-4, 1e-4),
    # 399 epochs of 39 iterations are 4.095 times 3,800.
    "AttentionUNet25D": (400, 2, "Adam", 5e-4, 5e-4 / 2**4.095),
    "InceptionDualUNet": (50, 2, "Adam", 1e-4, 1e-4),
    "ASPPUNet": (50, 2, "SGD", 0.01, 0.01 * 0.99**49),
}


@pytest.mark.parametrize("name", RECIPES)
def test_the_learning_rate_runs_from_the_first_to_the_last_printed_value(name: str) -> None:
    recipe = RECIPES[name]
    epochs, batch, optimizer, first, last = PRINTED[name]
    entry = recipe.training
    assert (entry["epochs"], recipe.batch_size, entry["optimizer"]) == (epochs, batch, optimizer)
    assert entry["lr_schedule"] in ("constant", "exponential")  # otherwise nnU-Net's decay applies
    assert entry["initial_lr"] == first
    decay = entry.get("lr_decay", 1.0)
    assert first * decay ** (epochs - 1) == pytest.approx(last, rel=1e-3)
    assert "weight_decay" in entry
    if optimizer == "SGD":
        assert entry["momentum"] == 0  # nnU-Net's 0.99 would make steps a hundred times as long


def test_recipes_weigh_the_outputs_that_their_networks_have() -> None:
    weighted = {name: set(r.training.get("output_weights", {})) for name, r in RECIPES.items()}
    assert {name: kinds for name, kinds in weighted.items() if kinds} == {
        "AttentionUNet25D": {"attention"},
        "InceptionDualUNet": {"auxiliary"},
    }
