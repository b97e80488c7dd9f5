"""The papers' recipes are valid procedures with the printed steps, rates, losses and augmentations."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from nnunet_plugins.papers.library import PAPERS, RECIPES, find_table, proposed_topology
from nnunet_plugins.papers.recipe import Recipe
from nnunet_plugins.planners.presets import PRESETS
from nnunet_plugins.training.augmentation import check_rank, for_any_rank
from nnunet_plugins.training.procedure import read_procedure
from nnunet_plugins.training.schedules import StepDecay, make_schedule

VARIANTS = {
    name: recipe
    for network, found in RECIPES.items()
    for name, recipe in ((network, found), (f"{network} printed", found.printed))
    if recipe is not None
}
PROCEDURES = {name: recipe.procedure() for name, recipe in VARIANTS.items()}
PROCEDURES |= {f"preset {n}": preset.training for n, preset in PRESETS.items() if preset.training}


@pytest.mark.parametrize("name", PROCEDURES)
def test_recipes_and_presets_are_valid_and_survive_json(name: str) -> None:
    entry = json.loads(json.dumps(PROCEDURES[name]))
    assert entry
    assert read_procedure({"training": entry}) == PROCEDURES[name]


@pytest.mark.parametrize("name", VARIANTS)
def test_a_recipe_names_axes_that_its_patch_has(name: str) -> None:
    recipe = VARIANTS[name]
    for training, rank in ((recipe.training, recipe.rank), (for_any_rank(recipe.training), 2)):
        augmentation = training.get("augmentation")
        if isinstance(augmentation, dict):
            check_rank(augmentation, rank)
    for key in ("mirror_axes", "prediction_mirror_axes"):
        assert all(axis < recipe.rank for axis in recipe.training.get(key, ()))


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", RECIPES)
def test_a_preset_may_replace_entries_of_any_recipe(name: str, preset: str) -> None:
    read_procedure({"training": RECIPES[name].procedure() | PRESETS[preset].training})


@pytest.mark.parametrize("schedule", ["poly", "constant"])
def test_a_decay_factor_may_remain_when_the_schedule_is_replaced(schedule: str) -> None:
    entry = RECIPES["ASPPUNet"].training | {"lr_schedule": schedule, "optimizer": "Adam"}
    assert read_procedure({"training": entry})["lr_decay"] == 0.99


#: Network -> (epochs, steps per epoch, batch size, optimizer, first and last learning rate).
PRINTED: dict[str, tuple[Any, ...]] = {
    "SEUNet": (300, 28, 1, "Adam", 1e-4, 1e-4),
    "MAGUNet": (300, 49, 1, "Adam", 1e-4, 1e-4),
    # The last of 400 epochs of 39 iterations ends after 15,600, four halvings after every 3,800.
    "AttentionUNet25D": (400, 39, 6, "AdamW", 5e-4, 5e-4 / 2**4),
    "AttentionUNet25D printed": (400, 39, 2, "Adam", 5e-4, 5e-4 / 2**4),
    "InceptionDualUNet": (50, 63, 2, "Adam", 1e-4, 1e-4),
    "ASPPUNet": (50, 828, 2, "SGD", 0.01, 0.01 * 0.99**49),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_steps_and_rates_run_from_the_first_to_the_last_printed_value(name: str) -> None:
    recipe = VARIANTS[name]
    epochs, steps, batch, optimizer, first, last = PRINTED[name]
    entry = recipe.procedure()
    assert (entry["epochs"], entry["iterations_per_epoch"]) == (epochs, steps)
    assert (recipe.batch_size, entry["optimizer"]) == (batch, optimizer)
    assert "weight_decay" in entry
    made = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=entry["initial_lr"])
    schedule = make_schedule(entry, made, entry["initial_lr"], epochs, steps)
    for epoch, expected in ((0, first), (epochs - 1, last)):
        schedule.step(epoch)
        if isinstance(schedule, StepDecay):
            for _ in range(steps - 1):
                schedule.advance()
        assert made.param_groups[0]["lr"] == pytest.approx(expected, rel=1e-9)
    if optimizer == "SGD":
        assert entry["momentum"] == 0  # nnU-Net's 0.99 would make steps a hundred times as long


def test_a_pass_over_the_cases_of_each_paper() -> None:
    """28, 49, 77 of 103 in four folds, 125 of 196, 138 volumes of 12 slices."""
    assert 103 - math.ceil(103 / 4) == RECIPES["AttentionUNet25D"].cases
    assert round(0.8 * 0.8 * 196) == RECIPES["InceptionDualUNet"].cases
    # 250 iterations per epoch were this number of times the papers' steps.
    shares = [round(250 / recipe.steps(), 1) for recipe in RECIPES.values()]
    assert shares == [8.9, 5.1, 6.4, 4.0, 0.3]


def test_another_batch_takes_another_number_of_steps() -> None:
    assert RECIPES["ASPPUNet"].procedure(12)["iterations_per_epoch"] == 138
    assert RECIPES["MAGUNet"].procedure(2)["iterations_per_epoch"] == 25
    assert RECIPES["ASPPUNet"].steps(2, cases=10) == 60
    with_one = replace(RECIPES["AttentionUNet25D"], cases=1)
    assert with_one.steps() == 1


def test_recipes_weigh_the_outputs_that_their_networks_have() -> None:
    weighted = {name: set(r.training.get("output_weights", {})) for name, r in RECIPES.items()}
    assert {name: kinds for name, kinds in weighted.items() if kinds} == {
        "AttentionUNet25D": {"attention"},
        "InceptionDualUNet": {"auxiliary"},
    }


def test_the_code_of_the_25d_network_and_its_text() -> None:
    code = RECIPES["AttentionUNet25D"]
    text = code.printed
    assert text is not None
    differ = {key for key in code.training if code.training[key] != text.training[key]}
    assert differ == {"optimizer", "weight_decay"}
    assert code.training["loss"] == {"dice": {"weight": 1.0, "background": True}, "ce": 1.0}
    affine = code.training["augmentation"]["affine"]
    assert math.radians(affine["degrees"]) == pytest.approx(0.05, abs=1e-5)
    assert code.training["augmentation"]["noise"] == {"p": 0.15, "std": [0.0, 0.01]}
    assert code.training["augmentation"]["flip"] == {"p": 0.5}
    assert code.training["prediction_mirror_axes"] == [1, 2]


@pytest.mark.parametrize(
    ("network", "transforms"),
    [
        ("SEUNet", {"affine", "flip"}),
        ("MAGUNet", {"affine", "gamma", "flip"}),
        ("AttentionUNet25D", {"affine", "noise", "flip"}),
    ],
)
def test_transforms_and_probabilities_of_the_papers(network: str, transforms: set[str]) -> None:
    found = RECIPES[network].training["augmentation"]
    assert set(found) == transforms
    share = 0.15 if network == "AttentionUNet25D" else 0.5
    assert {o["p"] for n, o in found.items() if n != "flip"} == {share}


def test_networks_that_were_trained_without_augmentation_and_the_row_with_it() -> None:
    for network in ("InceptionDualUNet", "ASPPUNet"):
        assert RECIPES[network].training["augmentation"] == "none"
    row = find_table("silveira2025-inception-dual.5").row("augmented").training
    assert set(row["augmentation"]) == {"affine", "flip"}
    assert row["augmentation"]["affine"]["fill"] == "nearest"
    assert row["mirror_axes"] == [1]  # horizontal
    entry = RECIPES["InceptionDualUNet"].procedure() | row
    assert read_procedure({"training": entry}) == entry


@pytest.mark.parametrize("paper", PAPERS, ids=lambda p: p.number)
def test_recipe_and_topology_are_of_one_paper_and_size(paper: Any) -> None:
    topology = proposed_topology(paper.network)
    for recipe in (paper.recipe, paper.recipe.printed):
        if recipe is None:
            continue
        assert recipe.key == paper.key
        assert recipe.patch == topology.patch
        assert f"{recipe.rank}d" in topology.configuration
        assert recipe.matrix is None or recipe.matrix == recipe.patch[-2:]


@pytest.mark.parametrize("name", VARIANTS)
def test_items_have_texts_that_a_table_can_show(name: str) -> None:
    recipe: Recipe = VARIANTS[name]
    assert set(recipe.reasons) <= set(recipe.paper)
    for text in (*recipe.paper.values(), *(t for one in recipe.remarks for t in one)):
        assert text == text.strip() != ""
